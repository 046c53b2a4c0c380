// The level of a line, as programs write it: in JSON, in `level=…`, in klog's prefix,
// or as a word near the beginning. The work for a line has a limit.

import { escapeEnd } from './patternMatcher';

export const LogLevel = { none: 0, trace: 1, debug: 2, info: 3, warn: 4, error: 5 } as const;
export type LevelNumber = (typeof LogLevel)[keyof typeof LogLevel];

// Levels are near the beginning of a line; what a line says further on is its matter.
const MAX_BYTES = 256;

const NAMES: Record<string, LevelNumber> = {
  trace: LogLevel.trace, trc: LogLevel.trace, verbose: LogLevel.trace,
  debug: LogLevel.debug, dbg: LogLevel.debug, debu: LogLevel.debug,
  info: LogLevel.info, inf: LogLevel.info, information: LogLevel.info, notice: LogLevel.info, log: LogLevel.info,
  warn: LogLevel.warn, warning: LogLevel.warn, wrn: LogLevel.warn,
  error: LogLevel.error, err: LogLevel.error, erro: LogLevel.error, eror: LogLevel.error, severe: LogLevel.error,
  fatal: LogLevel.error, ftl: LogLevel.error, critical: LogLevel.error, crit: LogLevel.error,
  panic: LogLevel.error, alert: LogLevel.error, emerg: LogLevel.error, emergency: LogLevel.error,
};
const IN_JSON = /"(?:level|lvl|severity|log\.level|loglevel)"\s*:\s*(?:"([a-z]{1,12})"|(\d{1,3}))/i;
const FIELDS = new Set(['level', 'lvl', 'severity']);
const FIELD_LENGTHS = new Set([...FIELDS].map(({ length }) => length));
const MAX_WORD = 12;

// What a byte is, for the scan: a table is faster than comparisons and expressions.
const OTHER = 0;
const LOWER = 1;
const UPPER = 2;
const DIGIT = 3;
const kinds = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x61 && byte <= 0x7a) return LOWER;
  if (byte >= 0x41 && byte <= 0x5a) return UPPER;
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x5f ? DIGIT : OTHER;
});
const code = (character: string): number => character.charCodeAt(0);
const SPACE = code(' ');
const TAB = code('\t');
const BRACE = code('{');
const ESCAPE = code('\u001b');
const COLON = code(':');
const EQUALS = code('=');
const QUOTE = code('"');
const pairs = new Map([['[', ']'], ['<', '>'], ['(', ')']].map(([open = '', close = '']) => [code(open), code(close)]));

/** Returns the level of a line, or `none`. */
export function detectLevel(bytes: Uint8Array): LevelNumber {
  const end = Math.min(bytes.length, MAX_BYTES);
  if (bytes[0] === BRACE) {
    const match = IN_JSON.exec(String.fromCharCode(...bytes.subarray(0, end)));
    return match === null ? LogLevel.none : levelOf(match[1] ?? match[2]);
  }
  let before = SPACE;
  for (let at = 0; at < end; ) {
    const byte = bytes[at] ?? 0;
    const kind = kinds[byte] ?? OTHER;
    if (byte === ESCAPE) {
      at = escapeEnd(bytes, at, end);
      before = SPACE;
      continue;
    }
    if (kind === OTHER) {
      before = byte;
      at += 1;
      continue;
    }
    const from = at;
    let isUpper = true;
    for (let inside = kind; at < end && inside !== OTHER; inside = kinds[bytes[at] ?? 0] ?? OTHER) {
      if (inside === LOWER) isUpper = false;
      at += 1;
    }
    const level = wordLevel(bytes, from, at, isUpper, before);
    if (level !== LogLevel.none) return level;
  }
  return LogLevel.none;
}

/** Returns the level of a word, if it has a sign of being one. */
function wordLevel(bytes: Uint8Array, from: number, to: number, isUpper: boolean, before: number): LevelNumber {
  const length = to - from;
  if (length < 3 || length > MAX_WORD) return LogLevel.none;
  const next = bytes[to];
  // klog's prefix: a letter, the month, and the day.
  if (from === 0 && length === 5 && isUpper && next === SPACE) return klogLevel(bytes);
  const isField = next === EQUALS;
  // Lines have many fields, and most are no candidates.
  if (isField && !FIELD_LENGTHS.has(length)) return LogLevel.none;
  const isLabel = next === COLON && (before === SPACE || before === TAB);
  if (!isUpper && !isField && !isLabel && pairs.get(before) !== next) return LogLevel.none;
  const word = wordAt(bytes, from, to);
  if (!isField) return NAMES[word] ?? LogLevel.none;
  if (!FIELDS.has(word)) return LogLevel.none;
  const start = bytes[to + 1] === QUOTE ? to + 2 : to + 1;
  let end = start;
  while (end < bytes.length && end - start < MAX_WORD && (kinds[bytes[end] ?? 0] ?? OTHER) !== OTHER) end += 1;
  return NAMES[wordAt(bytes, start, end)] ?? LogLevel.none;
}

const KLOG: Record<string, LevelNumber> = {
  i: LogLevel.info, w: LogLevel.warn, e: LogLevel.error, f: LogLevel.error,
};

function klogLevel(bytes: Uint8Array): LevelNumber {
  const word = wordAt(bytes, 0, 5);
  if (/^[iwef]\d{4}$/.test(word)) return KLOG[word.charAt(0)] ?? LogLevel.none;
  return NAMES[word] ?? LogLevel.none;
}

function wordAt(bytes: Uint8Array, from: number, to: number): string {
  let word = '';
  for (let at = from; at < to; at += 1) word += String.fromCharCode(bytes[at] ?? 0);
  return word.toLowerCase();
}

/** Returns the level that a name, or a number of bunyan and pino, stands for. */
export function levelOf(value: unknown): LevelNumber {
  if (typeof value === 'string' && !/^\d+$/.test(value)) return NAMES[value.toLowerCase()] ?? LogLevel.none;
  const number = Number(value);
  if (!(number >= 10)) return LogLevel.none;
  if (number >= 50) return LogLevel.error;
  if (number >= 40) return LogLevel.warn;
  if (number >= 30) return LogLevel.info;
  return number >= 20 ? LogLevel.debug : LogLevel.trace;
}
