// The lines of all logs that are shown, in typed arrays: a line costs its bytes and
// about 25 more. Lines are kept in pages in the order in which they arrive, and
// `order` merges them by the engine's time.

import type { LogEntry } from './muxMessages';

export const LineFlag = {
  stderr: 1,
  /** The line goes on in the next one of its stream. */
  partial: 2,
  /** The line began in an earlier one. */
  continued: 4,
  /** Not of the log: a remark about it. */
  marker: 8,
} as const;

export interface StoredLine {
  id: number;
  source: number;
  flags: number;
  /** Nanoseconds since 1970. */
  time: bigint;
  bytes: Uint8Array;
}

const PAGE_LINES = 8192;
const FIRST_PAGE_BYTES = 64 * 1024;
// A page is replaced by the next one when it is full, unless one line is longer.
const PAGE_BYTES = 1024 * 1024;

class LinePage {
  bytes = new Uint8Array(FIRST_PAGE_BYTES);
  used = 0;
  count = 0;
  readonly ends = new Uint32Array(PAGE_LINES);
  /** Microseconds since 1970, never before an earlier line of the same source. */
  readonly keys = new Float64Array(PAGE_LINES);
  readonly times = new BigInt64Array(PAGE_LINES);
  readonly sources = new Uint16Array(PAGE_LINES);
  readonly flags = new Uint8Array(PAGE_LINES);
  /** One for each line that matches the current search. */
  readonly matches = new Uint8Array(PAGE_LINES);

  has(length: number): boolean {
    return this.count < PAGE_LINES && (this.count === 0 || this.used + length <= PAGE_BYTES);
  }

  push(bytes: Uint8Array): number {
    if (this.used + bytes.length > this.bytes.length) {
      const size = Math.max(this.bytes.length * 2, this.used + bytes.length);
      const larger = new Uint8Array(Math.max(Math.min(size, PAGE_BYTES), this.used + bytes.length));
      larger.set(this.bytes.subarray(0, this.used));
      this.bytes = larger;
    }
    this.bytes.set(bytes, this.used);
    this.used += bytes.length;
    this.ends[this.count] = this.used;
    this.count += 1;
    return this.count - 1;
  }

  /** Gives back what the bytes of a full page do not need. */
  shrink(): void {
    if (this.used < this.bytes.length / 2) this.bytes = this.bytes.slice(0, this.used);
  }
}

export class LineStore {
  readonly #maxBytes: number;
  readonly #maxLines: number;
  #pages: LinePage[] = [];
  /** The number of pages that were dropped. */
  #dropped = 0;
  #order = new Uint32Array(1024);
  #length = 0;
  #bytes = 0;
  #droppedLines = 0;
  #lastKeys = new Map<number, number>();
  /** Streams whose last entry was partial, as source * 2 + stream. */
  #open = new Set<number>();

  constructor(maxBytes = 160 * 1024 * 1024, maxLines = 1_200_000) {
    this.#maxBytes = maxBytes;
    this.#maxLines = maxLines;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of the lines. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The number of lines that were dropped since there were too many. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  get isFull(): boolean {
    return this.#bytes > this.#maxBytes || this.#length > this.#maxLines;
  }

  /** Adds entries of one source, and returns the IDs of their lines. */
  append(source: number, entries: readonly LogEntry[]): number[] {
    const ids: number[] = [];
    for (const entry of entries) {
      const stream = source * 2 + (entry.isStderr ? 1 : 0);
      let flags = entry.isStderr ? LineFlag.stderr : 0;
      if (this.#open.has(stream)) flags |= LineFlag.continued;
      if (entry.isPartial) {
        flags |= LineFlag.partial;
        this.#open.add(stream);
      } else {
        this.#open.delete(stream);
      }
      ids.push(this.#push(source, entry.time, flags, entry.bytes));
    }
    this.#merge(ids);
    return ids;
  }

  /** Adds a remark behind the last line of a source. */
  appendMarker(source: number, text: string, time?: bigint): void {
    const last = this.#lastKeys.get(source);
    const at = time ?? (last === undefined ? BigInt(Date.now()) * 1_000_000n : BigInt(last) * 1000n);
    this.#open.delete(source * 2);
    this.#open.delete(source * 2 + 1);
    this.#merge([this.#push(source, at, LineFlag.marker, new TextEncoder().encode(text))]);
  }

  /** Drops the oldest lines until the store is not full, and returns how many. */
  dropOldest(): number {
    let count = 0;
    while (this.isFull && this.#pages.length > 1) {
      const page = this.#pages.shift();
      if (page === undefined) break;
      this.#dropped += 1;
      this.#bytes -= page.used;
      count += page.count;
    }
    if (count > 0) {
      const first = this.#dropped * PAGE_LINES;
      let kept = 0;
      for (let at = 0; at < this.#length; at += 1) {
        const id = this.#order[at] ?? 0;
        if (id >= first) this.#order[kept++] = id;
      }
      this.#length = kept;
      this.#droppedLines += count;
    }
    return count;
  }

  /** Returns the line at a position in the merged order. */
  at(position: number): StoredLine | undefined {
    if (position < 0 || position >= this.#length) return undefined;
    const id = this.#order[position] ?? 0;
    const [page, index] = this.#locate(id);
    return {
      id,
      source: page.sources[index] ?? 0,
      flags: page.flags[index] ?? 0,
      time: page.times[index] ?? 0n,
      bytes: this.#bytesAt(page, index),
    };
  }

  isMatch(position: number): boolean {
    const [page, index] = this.#locate(this.#order[position] ?? 0);
    return page.matches[index] === 1;
  }

  /** Returns the position of the next match in a direction, from a position on. */
  findMatch(from: number, step: 1 | -1): number {
    for (let at = from; at >= 0 && at < this.#length; at += step) {
      if (this.isMatch(at)) return at;
    }
    return -1;
  }

  /** Tests lines, and returns how many match. `ids` are those of `append`. */
  test(ids: readonly number[], matches: (line: Uint8Array, from: number, to: number) => boolean): number {
    let count = 0;
    for (const id of ids) {
      const [page, index] = this.#locate(id);
      count += testLine(page, index, matches);
    }
    return count;
  }

  /**
   * Tests all lines, page by page: each step of the generator yields the number of
   * matches in one page. Lines that are added meanwhile are not tested.
   */
  *testAll(matches: (line: Uint8Array, from: number, to: number) => boolean): Generator<number> {
    // Pages may be dropped between two steps; those are no longer of interest.
    for (const page of [...this.#pages]) {
      let count = 0;
      for (let index = 0; index < page.count; index += 1) count += testLine(page, index, matches);
      yield count;
    }
  }

  /** Returns the number of matches among the lines. */
  countMatches(): number {
    let count = 0;
    for (const page of this.#pages) {
      for (let index = 0; index < page.count; index += 1) count += page.matches[index] ?? 0;
    }
    return count;
  }

  clearMatches(): void {
    for (const page of this.#pages) page.matches.fill(0);
  }

  #push(source: number, time: bigint, flags: number, bytes: Uint8Array): number {
    let page = this.#pages.at(-1);
    if (page === undefined || !page.has(bytes.length)) {
      page?.shrink();
      page = new LinePage();
      this.#pages.push(page);
    }
    const index = page.push(bytes);
    // Only the order counts within a source: times may run backward.
    const key = Math.max(Number(time / 1000n), this.#lastKeys.get(source) ?? 0);
    this.#lastKeys.set(source, key);
    page.keys[index] = key;
    page.times[index] = time;
    page.sources[index] = source;
    page.flags[index] = flags;
    this.#bytes += bytes.length;
    return (this.#dropped + this.#pages.length - 1) * PAGE_LINES + index;
  }

  /** Merges new lines, which are in order, into the order of all. */
  #merge(ids: readonly number[]): void {
    if (ids.length === 0) return;
    this.#reserve(ids.length);
    const firstKey = this.#key(ids[0] ?? 0);
    let from = this.#length;
    if (from > 0 && this.#key(this.#order[from - 1] ?? 0) > firstKey) from = this.#upperBound(firstKey);
    // From the back, as in an insertion sort of runs.
    let old = this.#length - 1;
    let added = ids.length - 1;
    for (let to = this.#length + ids.length - 1; added >= 0; to -= 1) {
      const oldId = this.#order[old] ?? 0;
      const newId = ids[added] ?? 0;
      if (old >= from && this.#key(oldId) > this.#key(newId)) {
        this.#order[to] = oldId;
        old -= 1;
      } else {
        this.#order[to] = newId;
        added -= 1;
      }
    }
    this.#length += ids.length;
  }

  #upperBound(key: number): number {
    let [low, high] = [0, this.#length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#key(this.#order[middle] ?? 0) <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#order.length) return;
    const larger = new Uint32Array(Math.max(this.#order.length * 2, this.#length + count));
    larger.set(this.#order.subarray(0, this.#length));
    this.#order = larger;
  }

  #key(id: number): number {
    const [page, index] = this.#locate(id);
    return page.keys[index] ?? 0;
  }

  #locate(id: number): [LinePage, number] {
    const page = this.#pages[Math.floor(id / PAGE_LINES) - this.#dropped];
    if (page === undefined) throw new RangeError(`no line ${id}`);
    return [page, id % PAGE_LINES];
  }

  #bytesAt(page: LinePage, index: number): Uint8Array {
    const start = index === 0 ? 0 : (page.ends[index - 1] ?? 0);
    return page.bytes.subarray(start, page.ends[index]);
  }
}

function testLine(
  page: LinePage,
  index: number,
  matches: (line: Uint8Array, from: number, to: number) => boolean,
): number {
  const start = index === 0 ? 0 : (page.ends[index - 1] ?? 0);
  const isMarker = ((page.flags[index] ?? 0) & LineFlag.marker) !== 0;
  const isMatch = !isMarker && matches(page.bytes, start, page.ends[index] ?? start) ? 1 : 0;
  page.matches[index] = isMatch;
  return isMatch;
}
