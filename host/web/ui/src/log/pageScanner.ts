// Searches the lines of a page in one pass over its bytes, where the pattern allows it.
// Written by hand: libraries and the browser search strings, and to decode a million
// lines takes longer than to search their bytes.

import type { PatternMatcher } from './patternMatcher';
import { requiredText, type RequiredText } from './requiredText';
import type { SearchRequest } from './workerMessages';

/** The lines of a page: each begins where the one before ends. */
export interface PageLines {
  bytes: Uint8Array;
  ends: Uint32Array;
  count: number;
  /** One for each line that matches. */
  matches: Uint8Array;
}

const ESCAPE = 0x1b;

/** Returns the function that marks the lines of a page for which a search is. */
export function pageScanner(matcher: PatternMatcher, search: SearchRequest): (page: PageLines) => void {
  const text = requiredText(search.text, search);
  const finder = text === undefined ? undefined : new TextFinder(text, search.isCaseSensitive);
  return (page) => {
    if (finder === undefined || !finder.scan(page, matcher)) scanLines(page, matcher);
    if (search.isInverted) for (let line = 0; line < page.count; line += 1) page.matches[line] = 1 - (page.matches[line] ?? 0);
  };
}

/** Tests each line. */
function scanLines({ bytes, ends, count, matches }: PageLines, matcher: PatternMatcher): void {
  let from = 0;
  for (let line = 0; line < count; line += 1) {
    const to = ends[line] ?? from;
    matches[line] = matcher.matches(bytes, from, to) ? 1 : 0;
    from = to;
  }
}

/** Finds a text as Horspool does: from its end, with a table of how far to go on. */
class TextFinder {
  readonly #text: RequiredText;
  /** The other case of each byte of the text. */
  readonly #other: Uint8Array;
  readonly #shifts = new Uint8Array(256);

  constructor(text: RequiredText, isCaseSensitive: boolean) {
    this.#text = text;
    const { bytes } = text;
    this.#other = bytes.map((byte) => (isCaseSensitive ? byte : otherCase(byte)));
    this.#shifts.fill(bytes.length);
    for (let at = 0; at < bytes.length - 1; at += 1) {
      this.#shifts[bytes[at] ?? 0] = bytes.length - 1 - at;
      this.#shifts[this.#other[at] ?? 0] = bytes.length - 1 - at;
    }
  }

  /**
   * Marks the lines that match. Text that repeats itself may need more comparisons
   * than it has bytes: then it returns false, since the automaton needs one for each.
   */
  scan(page: PageLines, matcher: PatternMatcher): boolean {
    const { bytes, ends, count, matches } = page;
    const used = count === 0 ? 0 : (ends[count - 1] ?? 0);
    const { isWhole, bytes: text } = this.#text;
    const other = this.#other;
    const shifts = this.#shifts;
    const last = text.length - 1;
    const [lastByte, lastOther] = [text[last], other[last]];
    matches.fill(0, 0, count);
    let effort = used;
    let line = 0;
    for (let end = last; end < used; ) {
      const byte = bytes[end] as number;
      if (byte !== lastByte && byte !== lastOther) {
        end += shifts[byte] as number;
        continue;
      }
      let same = 1;
      while (same <= last) {
        const before = bytes[end - same];
        if (before !== text[last - same] && before !== other[last - same]) break;
        same += 1;
      }
      effort -= same;
      if (effort < 0) return false;
      if (same <= last) {
        end += shifts[byte] as number;
        continue;
      }
      line = lineAt(ends, line, end - last);
      const to = ends[line] as number;
      if (end >= to) {
        // It begins in one line and ends in another.
        end += 1;
        continue;
      }
      const from = line === 0 ? 0 : (ends[line - 1] as number);
      matches[line] = isWhole || matcher.matches(bytes, from, to) ? 1 : 0;
      end = to + last;
    }
    this.#scanEscapes(page, used, matcher);
    return true;
  }

  /** Tests the lines with escape sequences, which may be within the text. */
  #scanEscapes({ bytes, ends, matches }: PageLines, used: number, matcher: PatternMatcher): void {
    let line = 0;
    let at = bytes.indexOf(ESCAPE);
    while (at >= 0 && at < used) {
      line = lineAt(ends, line, at);
      const to = ends[line] ?? used;
      matches[line] = matcher.matches(bytes, line === 0 ? 0 : (ends[line - 1] ?? 0), to) ? 1 : 0;
      at = bytes.indexOf(ESCAPE, to);
    }
  }
}

/** Returns the line that has the byte at a place. It is not before `line`. */
function lineAt(ends: Uint32Array, line: number, at: number): number {
  let found = line;
  while ((ends[found] ?? Infinity) <= at) found += 1;
  return found;
}

function otherCase(byte: number): number {
  const isUpper = byte >= 0x41 && byte <= 0x5a;
  const isLower = byte >= 0x61 && byte <= 0x7a;
  return isUpper || isLower ? byte ^ 0x20 : byte;
}
