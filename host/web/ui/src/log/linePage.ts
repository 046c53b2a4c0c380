// A page of stored lines, in typed arrays: a line costs its bytes and about 25 more.

export const PAGE_LINES = 8192;
const FIRST_PAGE_BYTES = 64 * 1024;
// A page is replaced by the next one when it is full, unless one line is longer.
const PAGE_BYTES = 1024 * 1024;

export type LineTest = (bytes: Uint8Array, from: number, to: number) => boolean;

export class LinePage {
  bytes = new Uint8Array(FIRST_PAGE_BYTES);
  used = 0;
  count = 0;
  readonly ends = new Uint32Array(PAGE_LINES);
  /** Microseconds since 1970, never before an earlier line of the same source. */
  readonly keys = new Float64Array(PAGE_LINES);
  readonly times = new BigInt64Array(PAGE_LINES);
  readonly sources = new Uint16Array(PAGE_LINES);
  readonly flags = new Uint8Array(PAGE_LINES);
  readonly levels = new Uint8Array(PAGE_LINES);
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

  start(index: number): number {
    return index === 0 ? 0 : (this.ends[index - 1] ?? 0);
  }

  bytesAt(index: number): Uint8Array {
    return this.bytes.subarray(this.start(index), this.ends[index]);
  }

  /** Tests a line without copying it. */
  test(index: number, matches: LineTest): boolean {
    const start = this.start(index);
    return matches(this.bytes, start, this.ends[index] ?? start);
  }
}
