// The level of a line, as programs write it: in JSON, in `level=…`, in klog's prefix,
// or as a word near the beginning. The work for a line has a limit.

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
const KLOG: Record<string, LevelNumber> = {
  I: LogLevel.info, W: LogLevel.warn, E: LogLevel.error, F: LogLevel.error,
};

const WORDS = Object.keys(NAMES).join('|');
const IN_JSON = /"(?:level|lvl|severity|log\.level|loglevel)"\s*:\s*(?:"([a-z]{1,12})"|(\d{1,3}))/i;
const IN_FIELDS = /\b(?:level|lvl|severity)=["']?([a-z]{1,12})/i;
const IN_KLOG = /^([IWEF])\d{4} \d\d:/;
// In capitals anywhere near the beginning; otherwise with a sign of being a level.
const IN_CAPITALS = new RegExp(`(?:^|[^A-Za-z0-9_])(${WORDS.toUpperCase()})(?![A-Za-z0-9_])`);
const IN_BRACKETS = new RegExp(`[[<(](${WORDS})[\\])>]|(?:^|\\s)(${WORDS}):`, 'i');
const ESCAPES = /\u001b\[[0-9;]{0,20}m/g;

/** Returns the level of a line, or `none`. */
export function detectLevel(bytes: Uint8Array): LevelNumber {
  const text = latin1(bytes);
  const inJson = text.startsWith('{') ? IN_JSON.exec(text) : null;
  if (inJson !== null) return levelOf(inJson[1] ?? inJson[2]);
  const klog = IN_KLOG.exec(text);
  if (klog !== null) return KLOG[klog[1] ?? ''] ?? LogLevel.none;
  const field = IN_FIELDS.exec(text);
  if (field !== null) return levelOf(field[1]);
  if (text.startsWith('{')) return LogLevel.none;
  const word = IN_CAPITALS.exec(text) ?? IN_BRACKETS.exec(text);
  return word === null ? LogLevel.none : levelOf(word[1] ?? word[2]);
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

function latin1(bytes: Uint8Array): string {
  const text = String.fromCharCode(...bytes.subarray(0, MAX_BYTES));
  return text.includes('\u001b') ? text.replace(ESCAPES, '') : text;
}
