// The IDs of lines in the order of their keys.

export class LineOrder {
  readonly #key: (id: number) => number;
  #ids = new Uint32Array(1024);
  #length = 0;

  /** Creates an empty order. `key` returns what a line is sorted by. */
  constructor(key: (id: number) => number) {
    this.#key = key;
  }

  get length(): number {
    return this.#length;
  }

  /** Returns the ID at a position, which must exist. */
  at(position: number): number {
    return this.#ids[position] ?? 0;
  }

  /** Adds a line that comes after all others. */
  push(id: number): void {
    this.#reserve(1);
    this.#ids[this.#length++] = id;
  }

  /** Merges new lines, which are in order, behind those with the same key. */
  merge(ids: readonly number[]): void {
    if (ids.length === 0) return;
    this.#reserve(ids.length);
    const firstKey = this.#key(ids[0] ?? 0);
    let from = this.#length;
    if (from > 0 && this.#key(this.at(from - 1)) > firstKey) from = this.upperBound(firstKey);
    // From the back, as in an insertion sort of runs.
    let old = this.#length - 1;
    let added = ids.length - 1;
    for (let to = this.#length + ids.length - 1; added >= 0; to -= 1) {
      const oldId = this.at(old);
      const newId = ids[added] ?? 0;
      if (old >= from && this.#key(oldId) > this.#key(newId)) {
        this.#ids[to] = oldId;
        old -= 1;
      } else {
        this.#ids[to] = newId;
        added -= 1;
      }
    }
    this.#length += ids.length;
  }

  /** Removes the lines with an ID below `first`. */
  dropBefore(first: number): void {
    let kept = 0;
    for (let at = 0; at < this.#length; at += 1) {
      const id = this.#ids[at] ?? 0;
      if (id >= first) this.#ids[kept++] = id;
    }
    this.#length = kept;
  }

  /** Returns the position behind the lines whose key is at most `key`. */
  upperBound(key: number): number {
    let [low, high] = [0, this.#length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#key(this.at(middle)) <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Returns the position of a line, or of the nearest one before it if it is not there. */
  positionOf(id: number): number {
    const key = this.#key(id);
    const last = this.upperBound(key) - 1;
    for (let at = last; at >= 0 && this.#key(this.at(at)) === key; at -= 1) {
      if (this.at(at) === id) return at;
    }
    return Math.max(0, last);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#ids.length) return;
    const larger = new Uint32Array(Math.max(this.#ids.length * 2, this.#length + count));
    larger.set(this.#ids.subarray(0, this.#length));
    this.#ids = larger;
  }
}
