// Prepares stored lines for the page.

import { stripAnsi } from './ansi';
import { foldJson } from './jsonLine';
import { LineFlag, type LineStore, type StoredLine } from './lineStore';
import type { PatternMatcher } from './patternMatcher';
import type { LineView } from './workerMessages';

// What is longer is of no use on a screen; the export has all of it.
const MAX_VISIBLE_BYTES = 8 * 1024;
// A line with more matches than these shows the first of them.
const MAX_RANGES = 200;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export interface ViewOptions {
  /** Finds what is marked. */
  matcher: PatternMatcher | undefined;
  /** Whether lines of JSON are shown in short. */
  isFolded: boolean;
}

/** Returns the lines from a position on. */
export function lineViews(
  store: LineStore,
  first: number,
  count: number,
  options: ViewOptions,
): LineView[] {
  const views: LineView[] = [];
  const end = Math.min(store.length, first + count);
  for (let position = Math.max(0, first); position < end; position += 1) {
    const line = store.at(position);
    if (line !== undefined) views.push(lineView(line, position, options));
  }
  return views;
}

function lineView(
  line: StoredLine,
  position: number,
  { matcher, isFolded }: ViewOptions,
): LineView {
  const omitted = Math.max(0, line.bytes.length - MAX_VISIBLE_BYTES);
  let text = decoder.decode(line.bytes.subarray(0, MAX_VISIBLE_BYTES));
  // Terminals end their lines with both characters.
  if (text.endsWith('\r')) text = text.slice(0, -1);
  const folded = isFolded && omitted === 0 ? foldJson(text) : undefined;
  text = folded?.text ?? text;
  const isMarker = (line.flags & LineFlag.marker) !== 0;
  return {
    id: line.id,
    position,
    source: line.source,
    flags: line.flags,
    level: line.level,
    time: Number(line.time / 1_000_000n),
    nanos: String(line.time),
    text,
    fieldsAt: folded?.fieldsAt ?? -1,
    omitted,
    matches: matcher === undefined || isMarker ? [] : matchRanges(text, matcher),
  };
}

/** Returns the matches as places in the text without escape sequences. */
export function matchRanges(text: string, matcher: PatternMatcher): number[] {
  const plain = stripAnsi(text);
  const bytes = encoder.encode(plain);
  const ranges = matcher.ranges(bytes, MAX_RANGES);
  if (bytes.length === plain.length) return ranges;
  return ranges.map((place) => decoder.decode(bytes.subarray(0, place)).length);
}
