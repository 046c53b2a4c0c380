// The lines of all logs that are shown. Lines are kept in pages in the order in which
// they arrive. `#all` merges them by the engine's time, and `#shown` has those of
// them that a filter leaves.

import { LineOrder } from './lineOrder';
import type { LogCut } from './logCuts';
import { LinePage, PAGE_LINES, type LineTest } from './linePage';
import { detectLevel, LogLevel, type LevelNumber } from './logLevel';
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
  level: number;
  /** Nanoseconds since 1970. */
  time: bigint;
  bytes: Uint8Array;
}

export interface LineFilter {
  /** The lowest level that is shown. Lines without a level count as `info`. */
  minLevel: LevelNumber;
  streams: 'both' | 'stdout' | 'stderr';
  /** Whether lines that do not match the search are left out. */
  isMatchingOnly: boolean;
}

const encoder = new TextEncoder();
const SPACE = 0x20;
const TAB = 0x09;

export class LineStore {
  readonly #maxBytes: number;
  readonly #maxLines: number;
  readonly #all = new LineOrder((id) => this.#key(id));
  #shown = this.#all;
  #filter: LineFilter | undefined;
  #test: LineTest | undefined;
  #pages: LinePage[] = [];
  /** The number of pages that were dropped. */
  #dropped = 0;
  #bytes = 0;
  #droppedLines = 0;
  #matchCount = 0;
  #lastKeys = new Map<number, number>();
  /** Streams whose last entry was partial, as source * 2 + stream. */
  #open = new Set<number>();
  /** The level of the last line of each stream. */
  #lastLevels = new Map<number, LevelNumber>();

  constructor(maxBytes = 160 * 1024 * 1024, maxLines = 1_200_000) {
    this.#maxBytes = maxBytes;
    this.#maxLines = maxLines;
  }

  /** The number of lines that the filter leaves. */
  get length(): number {
    return this.#shown.length;
  }

  /** The number of all lines. */
  get total(): number {
    return this.#all.length;
  }

  /** Bytes of the lines. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The number of lines that were dropped since there were too many. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** The number of shown lines that match the search, as far as they were tested. */
  get matchCount(): number {
    return this.#matchCount;
  }

  get isFull(): boolean {
    return this.#bytes > this.#maxBytes || this.#all.length > this.#maxLines;
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
      ids.push(this.#push(source, entry.time, flags, entry.bytes, this.#level(stream, flags, entry.bytes)));
    }
    this.#insert(ids);
    return ids;
  }

  /** Adds a remark behind the last line of a source. */
  appendMarker(source: number, text: string, time?: bigint): void {
    const last = this.#lastKeys.get(source);
    const at = time ?? (last === undefined ? BigInt(Date.now()) * 1_000_000n : BigInt(last) * 1000n);
    this.#open.delete(source * 2);
    this.#open.delete(source * 2 + 1);
    this.#insert([this.#push(source, at, LineFlag.marker, encoder.encode(text), LogLevel.none)]);
  }

  /**
   * Adds a remark about several sources behind their last lines. What they have next
   * comes after it, unless it is older than the last line of another one. Without
   * lines, its place is that of `since`, in milliseconds.
   */
  appendSharedMarker({ sources, since }: Pick<LogCut, 'sources' | 'since'>, text: string, time: bigint): void {
    const keys = sources.flatMap((source) => this.#lastKeys.get(source) ?? []);
    const key = keys.length === 0 ? since * 1000 : Math.max(...keys);
    this.#insert([this.#store(sources[0] ?? 0, key, time, LineFlag.marker, encoder.encode(text), LogLevel.none)]);
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
      // The order is updated at once: `isFull` counts it.
      this.#all.dropBefore(this.#dropped * PAGE_LINES);
    }
    if (count > 0) {
      if (this.#shown !== this.#all) this.#shown.dropBefore(this.#dropped * PAGE_LINES);
      this.#droppedLines += count;
      this.#countMatches();
    }
    return count;
  }

  /** Returns the line at a position among those that are shown. */
  at(position: number): StoredLine | undefined {
    if (position < 0 || position >= this.#shown.length) return undefined;
    const id = this.#shown.at(position);
    const [page, index] = this.#locate(id);
    return {
      id,
      source: page.sources[index] ?? 0,
      flags: page.flags[index] ?? 0,
      level: page.levels[index] ?? 0,
      time: page.times[index] ?? 0n,
      bytes: page.bytesAt(index),
    };
  }

  /** Returns the position of a line, or the nearest one before it if it is not shown. */
  positionOf(id: number): number {
    return id < this.#dropped * PAGE_LINES ? 0 : this.#shown.positionOf(id);
  }

  /** Leaves only some lines, or with `undefined` all. */
  setFilter(filter: LineFilter | undefined): void {
    this.#filter = filter;
    this.#shown = this.#all;
    if (filter !== undefined) {
      const shown = new LineOrder((id) => this.#key(id));
      for (let at = 0; at < this.#all.length; at += 1) {
        const id = this.#all.at(at);
        if (this.#isShown(filter, id)) shown.push(id);
      }
      this.#shown = shown;
    }
    this.#countMatches();
  }

  isMatch(position: number): boolean {
    const [page, index] = this.#locate(this.#shown.at(position));
    return page.matches[index] === 1;
  }

  /** Returns the position of the next match in a direction, from a position on. */
  findMatch(from: number, step: 1 | -1): number {
    for (let at = from; at >= 0 && at < this.#shown.length; at += step) {
      if (this.isMatch(at)) return at;
    }
    return -1;
  }

  /**
   * Tests all lines, page by page: each step of the generator is one page. Lines that
   * are added are tested when they are. Without a test, no line matches. `scan` has
   * the same result as the test for all lines of a page, only faster.
   */
  *search(test: LineTest | undefined, scan?: (page: LinePage) => void): Generator<void> {
    this.#test = test;
    this.#matchCount = 0;
    for (const page of this.#pages) page.matches.fill(0);
    if (test !== undefined) {
      // Pages may be dropped between two steps; those are no longer of interest.
      for (const page of [...this.#pages]) {
        if (this.#test !== test) return;
        if (scan === undefined) for (let index = 0; index < page.count; index += 1) this.#testLine(page, index);
        else this.#scanPage(page, scan);
        // With a filter, or with new lines, this is too high until the end.
        this.#matchCount += countMatches(page);
        yield;
      }
    }
    if (this.#filter?.isMatchingOnly === true) this.setFilter(this.#filter);
    this.#countMatches();
  }

  /** Programs indent what belongs to the line before, such as a stack trace. */
  #level(stream: number, flags: number, bytes: Uint8Array): LevelNumber {
    const isPart = (flags & LineFlag.continued) !== 0;
    const isIndented = bytes[0] === SPACE || bytes[0] === TAB;
    let level = isPart ? LogLevel.none : detectLevel(bytes);
    if (level === LogLevel.none && (isPart || isIndented)) level = this.#lastLevels.get(stream) ?? LogLevel.none;
    this.#lastLevels.set(stream, level);
    return level;
  }

  #push(source: number, time: bigint, flags: number, bytes: Uint8Array, level: LevelNumber): number {
    // Only the order counts within a source: times may run backward.
    const key = Math.max(Number(time / 1000n), this.#lastKeys.get(source) ?? 0);
    this.#lastKeys.set(source, key);
    return this.#store(source, key, time, flags, bytes, level);
  }

  /** Puts a line into the last page, and returns its ID. */
  #store(source: number, key: number, time: bigint, flags: number, bytes: Uint8Array, level: LevelNumber): number {
    let page = this.#pages.at(-1);
    if (page === undefined || !page.has(bytes.length)) {
      page?.shrink();
      page = new LinePage();
      this.#pages.push(page);
    }
    const index = page.push(bytes);
    page.keys[index] = key;
    page.times[index] = time;
    page.sources[index] = source;
    page.flags[index] = flags;
    page.levels[index] = level;
    this.#bytes += bytes.length;
    return (this.#dropped + this.#pages.length - 1) * PAGE_LINES + index;
  }

  #insert(ids: readonly number[]): void {
    this.#all.merge(ids);
    if (this.#test !== undefined) for (const id of ids) this.#testLine(...this.#locate(id));
    const filter = this.#filter;
    const shown = filter === undefined ? ids : ids.filter((id) => this.#isShown(filter, id));
    if (filter !== undefined) this.#shown.merge(shown);
    for (const id of shown) {
      const [page, index] = this.#locate(id);
      this.#matchCount += page.matches[index] ?? 0;
    }
  }

  #isShown(filter: LineFilter, id: number): boolean {
    const [page, index] = this.#locate(id);
    const flags = page.flags[index] ?? 0;
    // Remarks show where lines are missing, whatever the lines are.
    if ((flags & LineFlag.marker) !== 0) return true;
    if (filter.isMatchingOnly && this.#test !== undefined && page.matches[index] !== 1) return false;
    if (filter.streams !== 'both' && (flags & LineFlag.stderr) !== (filter.streams === 'stderr' ? 1 : 0)) return false;
    const level = page.levels[index] ?? 0;
    return (level === LogLevel.none ? LogLevel.info : level) >= filter.minLevel;
  }

  #testLine(page: LinePage, index: number): void {
    const isMarker = ((page.flags[index] ?? 0) & LineFlag.marker) !== 0;
    const isMatch = !isMarker && this.#test !== undefined && page.test(index, this.#test);
    page.matches[index] = isMatch ? 1 : 0;
  }

  #scanPage(page: LinePage, scan: (page: LinePage) => void): void {
    scan(page);
    for (let index = 0; index < page.count; index += 1) {
      if (((page.flags[index] ?? 0) & LineFlag.marker) !== 0) page.matches[index] = 0;
    }
  }

  #countMatches(): void {
    let count = 0;
    if (this.#test === undefined) {
      this.#matchCount = 0;
      return;
    }
    if (this.#shown === this.#all) {
      for (const page of this.#pages) count += countMatches(page);
    } else {
      for (let at = 0; at < this.#shown.length; at += 1) if (this.isMatch(at)) count += 1;
    }
    this.#matchCount = count;
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
}

function countMatches({ matches, count }: LinePage): number {
  let sum = 0;
  for (let index = 0; index < count; index += 1) sum += matches[index] ?? 0;
  return sum;
}
