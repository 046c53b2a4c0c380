// Which logs have ended, told once and together. The daemon tries a log again whose
// engine has failed, and says each time that it ended.

// Logs that end for the same reason within this time are told together, and those that
// go on within it are not told at all.
const DELAY = 1000;

/** A source that ended, with the reason of the daemon. */
interface EndedSource {
  index: number;
  name: string;
  reason: string;
}

export class EndTracker {
  readonly #report: (sources: number[], names: string[], reason: string) => void;
  /** Sources of which nothing has arrived since they ended. */
  readonly #ended = new Set<number>();
  #untold: EndedSource[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(report: (sources: number[], names: string[], reason: string) => void) {
    this.#report = report;
  }

  /** Records that the log of a source has ended. */
  end(source: EndedSource): void {
    if (this.#ended.has(source.index)) return;
    this.#ended.add(source.index);
    this.#untold.push(source);
    this.#timer ??= setTimeout(() => this.#tell(), DELAY);
  }

  /** Records that something has arrived from a source. */
  resume(source: number): void {
    if (!this.#ended.delete(source)) return;
    this.#untold = this.#untold.filter(({ index }) => index !== source);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #tell(): void {
    this.#timer = undefined;
    const byReason = new Map<string, EndedSource[]>();
    for (const source of this.#untold) {
      const others = byReason.get(source.reason);
      if (others === undefined) byReason.set(source.reason, [source]);
      else others.push(source);
    }
    this.#untold = [];
    for (const [reason, sources] of byReason) {
      this.#report(sources.map(({ index }) => index), sources.map(({ name }) => name), reason);
    }
  }
}
