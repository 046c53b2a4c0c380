// What lasted for so long worked.
const STEADY_MILLIS = 5000;

/** Delays between attempts: they double, with a random part, up to a limit. */
export class BackoffTimer {
  readonly #first: number;
  readonly #limit: number;
  readonly #random: () => number;
  #failures = 0;

  constructor(first = 500, limit = 15_000, random: () => number = Math.random) {
    this.#first = first;
    this.#limit = limit;
    this.#random = random;
  }

  /** Returns the delay before the next attempt, in milliseconds. */
  next(): number {
    const delay = Math.min(this.#limit, this.#first * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    return delay * (0.5 + this.#random() / 2);
  }

  reset(): void {
    this.#failures = 0;
  }

  /** Begins again if an attempt that began at this time was steady; returns whether it was. */
  resetIfSteady(began: number): boolean {
    const isSteady = Date.now() - began > STEADY_MILLIS;
    if (isSteady) this.reset();
    return isSteady;
  }

  get failures(): number {
    return this.#failures;
  }
}
