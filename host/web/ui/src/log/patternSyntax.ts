// Parses a pattern into an automaton over the bytes of UTF-8. Written by hand, since
// the regular expressions of browsers take exponential time for some patterns, and
// need text where the store has bytes.

/** A state: it consumes a byte of a range, or leads on without one. */
export interface PatternState {
  /** Ranges of bytes, in pairs; empty for a state that consumes nothing. */
  ranges: number[];
  next: number[];
  /** A condition on the place in the line. */
  anchor?: 'start' | 'end';
}

export interface PatternGraph {
  states: PatternState[];
  start: number;
  accept: number;
}

export class PatternError extends Error {}

export interface PatternOptions {
  isRegex: boolean;
  isCaseSensitive: boolean;
}

type Range = [number, number];

// Repetitions are written out, so they are limited.
const MAX_STATES = 20_000;
const MAX_REPEAT = 1000;
const MAX_CODE = 0x10ffff;

const digit: Range[] = [[0x30, 0x39]];
const word: Range[] = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
const space: Range[] = [[0x09, 0x0d], [0x20, 0x20], [0xa0, 0xa0]];

/** A part of the graph with one entry and one exit. */
interface Fragment {
  start: number;
  end: number;
}

/** Parses a pattern. @throws {PatternError} with a sentence for people. */
export function parsePattern(source: string, options: PatternOptions): PatternGraph {
  return new PatternParser(source, options).parse();
}

class PatternParser {
  readonly #characters: string[];
  readonly #options: PatternOptions;
  readonly #states: PatternState[] = [];
  #at = 0;

  constructor(source: string, options: PatternOptions) {
    this.#characters = [...source];
    this.#options = options;
  }

  parse(): PatternGraph {
    const { start, end } = this.#options.isRegex ? this.#alternatives() : this.#literal();
    if (this.#at < this.#characters.length) {
      throw new PatternError(`there is a ")" without "(" at character ${this.#at + 1}`);
    }
    return { states: this.#states, start, accept: end };
  }

  #literal(): Fragment {
    const parts = this.#characters.map((character) => this.#character(character));
    this.#at = this.#characters.length;
    return this.#sequence(parts);
  }

  #alternatives(): Fragment {
    const first = this.#terms();
    if (!this.#take('|')) return first;
    const [start, end] = [this.#state(), this.#state()];
    this.#link(start, first.start);
    this.#link(first.end, end);
    do {
      const other = this.#terms();
      this.#link(start, other.start);
      this.#link(other.end, end);
    } while (this.#take('|'));
    return { start, end };
  }

  #terms(): Fragment {
    const parts: Fragment[] = [];
    while (this.#at < this.#characters.length && !this.#isNext('|') && !this.#isNext(')')) {
      parts.push(this.#repeated());
    }
    return this.#sequence(parts);
  }

  #repeated(): Fragment {
    const from = this.#at;
    let part = this.#atom();
    for (;;) {
      const limits = this.#quantifier();
      if (limits === undefined) return part;
      this.#take('?'); // lazy: the same lines match
      const to = this.#at;
      part = this.#repeat(from, part, limits);
      this.#at = to;
    }
  }

  #quantifier(): Range | undefined {
    if (this.#take('*')) return [0, Infinity];
    if (this.#take('+')) return [1, Infinity];
    if (this.#take('?')) return [0, 1];
    const rest = this.#characters.slice(this.#at, this.#at + 16).join('');
    const match = /^\{(\d+)(,(\d*))?\}/.exec(rest);
    if (match === null) return undefined;
    this.#at += match[0].length;
    const low = Number(match[1]);
    const high = match[2] === undefined ? low : match[3] === '' ? Infinity : Number(match[3]);
    if (low > MAX_REPEAT || (high !== Infinity && high > MAX_REPEAT) || high < low) {
      throw new PatternError(`"${match[0]}" is not a repetition of at most ${MAX_REPEAT}`);
    }
    return [low, high];
  }

  /** Repeats what was parsed from a place on, by parsing it again. */
  #repeat(from: number, first: Fragment, [low, high]: Range): Fragment {
    const copy = (): Fragment => {
      this.#at = from;
      return this.#atom();
    };
    const parts: Fragment[] = [];
    for (let count = 0; count < low; count += 1) parts.push(count === 0 ? first : copy());
    if (high === Infinity) {
      const body = low === 0 ? first : copy();
      const [start, end] = [this.#state(), this.#state()];
      this.#link(start, body.start);
      this.#link(body.end, start);
      this.#link(start, end);
      parts.push({ start, end });
    } else {
      for (let count = low; count < high; count += 1) {
        const body = count === 0 ? first : copy();
        const start = this.#state();
        this.#link(start, body.start);
        this.#link(start, body.end);
        parts.push({ start, end: body.end });
      }
    }
    return this.#sequence(parts);
  }

  #atom(): Fragment {
    const character = this.#characters[this.#at] ?? '';
    this.#at += 1;
    switch (character) {
      case '(': {
        if (this.#isNext('?')) {
          const after = this.#characters[this.#at + 1] ?? '';
          if (after !== ':') throw new PatternError(`"(?${after}" is not supported`);
          this.#at += 2;
        }
        const inner = this.#alternatives();
        if (!this.#take(')')) throw new PatternError('a "(" has no ")"');
        return inner;
      }
      case '[':
        return this.#set(this.#bracket());
      case '.':
        return this.#set([[0, MAX_CODE]]);
      case '^':
        return this.#anchor('start');
      case '$':
        return this.#anchor('end');
      case '\\': {
        const escaped = this.#escape();
        return this.#set(this.#fold(escaped));
      }
      case '*':
      case '+':
      case '?':
        throw new PatternError(`there is nothing to repeat before "${character}"`);
      default:
        return this.#character(character);
    }
  }

  #escape(): Range[] {
    const character = this.#characters[this.#at];
    if (character === undefined) throw new PatternError('the pattern ends with "\\"');
    this.#at += 1;
    const code = (value: number): Range[] => [[value, value]];
    switch (character) {
      case 'd': return digit;
      case 'D': return invert(digit);
      case 'w': return word;
      case 'W': return invert(word);
      case 's': return space;
      case 'S': return invert(space);
      case 't': return code(9);
      case 'n': return code(10);
      case 'r': return code(13);
      case 'x': return code(this.#hex(2));
      case 'u': return code(this.#hex(4));
      default:
        if (/[A-Za-z0-9]/.test(character)) {
          throw new PatternError(`"\\${character}" is not supported`);
        }
        return code(character.codePointAt(0) ?? 0);
    }
  }

  #hex(length: number): number {
    const text = this.#characters.slice(this.#at, this.#at + length).join('');
    if (text.length !== length || !/^[0-9a-fA-F]+$/.test(text)) {
      throw new PatternError(`${length} hexadecimal digits are missing`);
    }
    this.#at += length;
    return Number.parseInt(text, 16);
  }

  #bracket(): Range[] {
    const isInverted = this.#take('^');
    const ranges: Range[] = [];
    let isFirst = true;
    while (isFirst || !this.#isNext(']')) {
      const low = this.#bracketItem();
      isFirst = false;
      const isRange = this.#isNext('-') && this.#characters[this.#at + 1] !== ']';
      const single = low.length === 1 && low[0]?.[0] === low[0]?.[1];
      if (!isRange || !single) {
        ranges.push(...low);
        continue;
      }
      this.#at += 1;
      const high = this.#bracketItem();
      const [from, to] = [low[0]?.[0] ?? 0, high[0]?.[1] ?? 0];
      if (high.length !== 1 || to < from) throw new PatternError('a range in "[…]" is reversed');
      ranges.push([from, to]);
    }
    this.#at += 1;
    const folded = this.#fold(ranges);
    return isInverted ? invert(folded) : folded;
  }

  #bracketItem(): Range[] {
    const character = this.#characters[this.#at];
    if (character === undefined) throw new PatternError('a "[" has no "]"');
    this.#at += 1;
    if (character === '\\') return this.#escape();
    const code = character.codePointAt(0) ?? 0;
    return [[code, code]];
  }

  #character(character: string): Fragment {
    const code = character.codePointAt(0) ?? 0;
    return this.#set(this.#fold([[code, code]]));
  }

  /** Adds the other case of letters, unless the case matters. */
  #fold(ranges: Range[]): Range[] {
    if (this.#options.isCaseSensitive) return ranges;
    const result = [...ranges];
    for (const [from, to] of ranges) {
      // Ranges of whole alphabets are searched for in their own case.
      for (let code = from; code <= Math.min(to, from + 512); code += 1) {
        const text = String.fromCodePoint(code);
        for (const other of [text.toLowerCase(), text.toUpperCase()]) {
          const folded = other.codePointAt(0) ?? code;
          if (folded !== code && [...other].length === 1) result.push([folded, folded]);
        }
      }
    }
    return result;
  }

  #set(ranges: Range[]): Fragment {
    const [start, end] = [this.#state(), this.#state()];
    for (const [from, to] of normalize(ranges)) {
      for (const bytes of utf8Ranges(from, to)) {
        let at = start;
        bytes.forEach((range, index) => {
          const state = this.#state();
          this.#link(at, state);
          const target = index === bytes.length - 1 ? end : this.#state();
          const found = this.#states[state];
          if (found !== undefined) {
            found.ranges = range;
            found.next = [target];
          }
          at = target;
        });
      }
    }
    return { start, end };
  }

  #anchor(anchor: 'start' | 'end'): Fragment {
    const [start, end] = [this.#state(), this.#state()];
    const state = this.#states[start];
    if (state !== undefined) state.anchor = anchor;
    this.#link(start, end);
    return { start, end };
  }

  #sequence(parts: Fragment[]): Fragment {
    const start = this.#state();
    let end = start;
    for (const part of parts) {
      this.#link(end, part.start);
      end = part.end;
    }
    return { start, end };
  }

  #state(): number {
    if (this.#states.length >= MAX_STATES) throw new PatternError('the pattern is too large');
    return this.#states.push({ ranges: [], next: [] }) - 1;
  }

  #link(from: number, to: number): void {
    this.#states[from]?.next.push(to);
  }

  #isNext(character: string): boolean {
    return this.#characters[this.#at] === character;
  }

  #take(character: string): boolean {
    const isNext = this.#isNext(character);
    if (isNext) this.#at += 1;
    return isNext;
  }
}

function normalize(ranges: Range[]): Range[] {
  const result: Range[] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

function invert(ranges: Range[]): Range[] {
  const result: Range[] = [];
  let next = 0;
  for (const [from, to] of normalize(ranges)) {
    if (from > next) result.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= MAX_CODE) result.push([next, MAX_CODE]);
  return result;
}

/** Returns sequences of ranges of bytes that encode the code points of a range. */
function utf8Ranges(from: number, to: number): number[][][] {
  const limits = [0x7f, 0x7ff, 0xffff, MAX_CODE];
  const result: number[][][] = [];
  let low = from;
  for (const limit of limits) {
    if (low > limit || low > to) continue;
    result.push(...splitRange(encode(low), encode(Math.min(to, limit))));
    low = limit + 1;
  }
  return result;
}

/** Splits a range of encodings of one length where a later byte would not be free. */
function splitRange(low: number[], high: number[]): number[][][] {
  const [first = 0, ...lowRest] = low;
  const [last = 0, ...highRest] = high;
  if (lowRest.length === 0) return [[[first, last]]];
  const lowest = lowRest.map(() => 0x80);
  const highest = lowRest.map(() => 0xbf);
  const prefix = (from: number, to: number, rests: number[][][]): number[][][] =>
    rests.map((rest) => [[from, to], ...rest]);
  if (first === last) return prefix(first, last, splitRange(lowRest, highRest));
  const result: number[][][] = [];
  let [from, to] = [first, last];
  if (lowRest.some((byte) => byte !== 0x80)) {
    result.push(...prefix(first, first, splitRange(lowRest, highest)));
    from += 1;
  }
  if (highRest.some((byte) => byte !== 0xbf)) {
    result.push(...prefix(last, last, splitRange(lowest, highRest)));
    to -= 1;
  }
  if (from <= to) result.push([[from, to], ...lowest.map(() => [0x80, 0xbf])]);
  return result;
}

function encode(code: number): number[] {
  if (code <= 0x7f) return [code];
  if (code <= 0x7ff) return [0xc0 | (code >> 6), 0x80 | (code & 63)];
  if (code <= 0xffff) return [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)];
  return [0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)];
}
