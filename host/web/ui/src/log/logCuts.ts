// When logs were cut off from what they are read from, and when they go on. Logs that
// are cut off together share a remark.

/** What was lost: the connection to the daemon, or the engine behind it. */
export type CutCause = 'connection' | 'engine';

export interface LogCut {
  cause: CutCause;
  /** When it began, in milliseconds since 1970. */
  since: number;
  /** The sources that were cut off when the first of them went on. */
  sources: number[];
}

interface LostSource {
  cause: CutCause;
  since: number;
  /** The place of the loss among all losses and ends of cuts. */
  order: number;
}

export class CutTracker {
  /** Sources of which something has arrived. */
  readonly #known = new Set<number>();
  readonly #lost = new Map<number, LostSource>();
  #order = 0;
  /** The end of the last cut. */
  #lastEnd = 0;

  /** Records that nothing more arrives from a source. One that never began is not cut off. */
  lose(source: number, cause: CutCause): void {
    if (!this.#known.has(source) || this.#lost.has(source)) return;
    this.#lost.set(source, { cause, since: Date.now(), order: ++this.#order });
  }

  /**
   * Records that something arrives from a source. Returns the cut that ends with it,
   * unless there was none, or another of its sources has ended it.
   */
  resume(source: number): LogCut | undefined {
    this.#known.add(source);
    const lost = this.#lost.get(source);
    if (lost === undefined) return undefined;
    const sources = [...this.#lost.keys()];
    this.#lost.delete(source);
    if (lost.order < this.#lastEnd) return undefined;
    this.#lastEnd = ++this.#order;
    return { cause: lost.cause, since: lost.since, sources };
  }
}
