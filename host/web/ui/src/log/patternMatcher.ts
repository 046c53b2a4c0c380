// Searches bytes with an automaton that is made deterministic as it runs: each byte
// of a line is read once, whatever the pattern is.

import { parsePattern, type PatternGraph, type PatternOptions } from './patternSyntax';

// When there are more, all are forgotten, and made again as they are needed.
const MAX_STATES = 2000;
const DEAD = -2;
const UNKNOWN = -1;
/** A state that accepts: the rest of the line does not matter. */
const FOUND = -3;
/** An escape sequence begins. */
const SKIP = -4;
const ESCAPE = 0x1b;

interface MatcherState {
  /** The states of the graph that it stands for. */
  states: number[];
  isAccepting: boolean;
  /** Whether it accepts where the line ends. */
  isAcceptingAtEnd: boolean;
}

/** A compiled pattern. */
export class PatternMatcher {
  readonly #graph: PatternGraph;
  /** Whether a match may begin at every place, and not only at the first. */
  readonly #isFloating: boolean;
  #states: MatcherState[] = [];
  #table = new Int32Array(0);
  #index = new Map<string, number>();
  #first = 0;
  /** Where a match begins that is not at the start of the line. */
  #middle = UNKNOWN;
  #anchored: PatternMatcher | undefined;

  /** @throws {PatternError} with a sentence for people. */
  constructor(source: string | PatternGraph, options: PatternOptions, isFloating = true) {
    this.#graph = typeof source === 'string' ? parsePattern(source, options) : source;
    this.#isFloating = isFloating;
    if (isFloating) this.#anchored = new PatternMatcher(this.#graph, options, false);
    this.#reset();
  }

  /** Returns whether bytes have a match. Escape sequences of terminals are skipped. */
  matches(bytes: Uint8Array, from: number, to: number): boolean {
    let state = this.#first;
    if (this.#states[state]?.isAccepting === true) return true;
    let table = this.#table;
    for (let at = from; at < to; at += 1) {
      const byte = bytes[at] as number;
      let next = table[(state << 8) | byte] as number;
      // All that is not a state is negative, so that a byte costs one comparison.
      if (next < 0) {
        if (next === SKIP) {
          at = escapeEnd(bytes, at, to) - 1;
          continue;
        }
        if (next === UNKNOWN) {
          next = this.#step(state, byte);
          table = this.#table;
        }
        if (next === FOUND) return true;
        if (next === DEAD) return false;
      }
      state = next;
    }
    const last = this.#states[state];
    return last !== undefined && (last.isAccepting || last.isAcceptingAtEnd);
  }

  /** Returns the matches in a text, as pairs of a start and an end in bytes. */
  ranges(bytes: Uint8Array, max: number): number[] {
    const result: number[] = [];
    let from = 0;
    while (from < bytes.length && result.length < max * 2) {
      const end = this.#anchored?.longest(bytes, from) ?? -1;
      if (end > from) {
        result.push(from, end);
        from = end;
      } else {
        from += 1;
      }
    }
    return result;
  }

  /** Returns the end of the longest match that begins at a place, or -1. */
  longest(bytes: Uint8Array, from: number): number {
    let state = from === 0 ? this.#first : this.#middleState();
    let end = -1;
    for (let at = from; at <= bytes.length; at += 1) {
      const found = this.#states[state];
      const isEnd = at === bytes.length;
      if (found?.isAccepting === true || (isEnd && found?.isAcceptingAtEnd === true)) end = at;
      if (isEnd) break;
      const byte = bytes[at] ?? 0;
      const next = this.#table[state * 256 + byte] ?? UNKNOWN;
      state = next === UNKNOWN ? this.#step(state, byte) : next;
      if (state === DEAD) break;
    }
    return end;
  }

  #middleState(): number {
    if (this.#middle === UNKNOWN) this.#middle = this.#intern(this.#close([this.#graph.start], false));
    return this.#middle;
  }

  #reset(): void {
    this.#states = [];
    this.#middle = UNKNOWN;
    this.#index = new Map();
    this.#table = new Int32Array(64 * 256).fill(UNKNOWN);
    this.#first = this.#intern(this.#close([this.#graph.start], true));
  }

  #step(state: number, byte: number): number {
    const reached: number[] = [];
    for (const index of this.#states[state]?.states ?? []) {
      const found = this.#graph.states[index];
      if (found === undefined) continue;
      for (let at = 0; at + 1 < found.ranges.length; at += 2) {
        if (byte >= (found.ranges[at] ?? 256) && byte <= (found.ranges[at + 1] ?? -1)) {
          reached.push(...found.next);
        }
      }
    }
    if (this.#isFloating) reached.push(this.#graph.start);
    const closed = this.#close(reached, false);
    if (closed.length === 0) {
      this.#table[state * 256 + byte] = DEAD;
      return DEAD;
    }
    if (this.#states.length >= MAX_STATES) {
      this.#reset();
      return this.#isFloating && closed.includes(this.#graph.accept) ? FOUND : this.#intern(closed);
    }
    const isFound = this.#isFloating && closed.includes(this.#graph.accept);
    const next = isFound ? FOUND : this.#intern(closed);
    this.#table[state * 256 + byte] = next;
    return next;
  }

  #intern(states: number[]): number {
    const key = states.join();
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    const id = this.#states.length;
    this.#states.push({
      states,
      isAccepting: states.includes(this.#graph.accept),
      isAcceptingAtEnd: this.#acceptsAtEnd(states),
    });
    this.#index.set(key, id);
    if ((id + 1) * 256 > this.#table.length) {
      const larger = new Int32Array(this.#table.length * 2).fill(UNKNOWN);
      larger.set(this.#table);
      this.#table = larger;
    }
    if (this.#isFloating) this.#table[id * 256 + ESCAPE] = SKIP;
    return id;
  }

  /** Adds the states that are reached without a byte, and returns those that count. */
  #close(from: number[], isStart: boolean, isEnd = false): number[] {
    const seen = new Set<number>();
    const pending = [...from];
    for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
      if (seen.has(index)) continue;
      seen.add(index);
      const state = this.#graph.states[index];
      if (state === undefined || state.ranges.length > 0) continue;
      if (state.anchor === 'start' && !isStart) continue;
      if (state.anchor === 'end' && !isEnd) continue;
      pending.push(...state.next);
    }
    const counts = (index: number): boolean => {
      const state = this.#graph.states[index];
      return index === this.#graph.accept || (state?.ranges.length ?? 0) > 0 || state?.anchor === 'end';
    };
    return [...seen].filter(counts).sort((a, b) => a - b);
  }

  #acceptsAtEnd(states: number[]): boolean {
    return this.#close(states, this.#states.length === 0, true).includes(this.#graph.accept);
  }
}

/** Returns the place behind an escape sequence. */
export function escapeEnd(bytes: Uint8Array, from: number, to: number): number {
  const kind = bytes[from + 1];
  let at = from + 2;
  if (kind === 0x5b) {
    // CSI: until a final byte.
    while (at < to && ((bytes[at] ?? 0) < 0x40 || (bytes[at] ?? 0) > 0x7e)) at += 1;
    return Math.min(to, at + 1);
  }
  if (kind === 0x5d || kind === 0x50 || kind === 0x58 || kind === 0x5e || kind === 0x5f) {
    // OSC and other strings: until BEL or ST.
    while (at < to && bytes[at] !== 7 && bytes[at] !== ESCAPE) at += 1;
    return Math.min(to, bytes[at] === ESCAPE ? at + 2 : at + 1);
  }
  return Math.min(to, at);
}
