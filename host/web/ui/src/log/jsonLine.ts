// Folds a line of JSON into its message and its fields. Only lines that are shown are
// folded, and the work for each has a limit.

import { stripAnsi } from './ansi';

export interface FoldedLine {
  /** The message, then the fields as `name=value`. */
  text: string;
  /** Where the fields begin in the text. */
  fieldsAt: number;
}

// What exceeds these is in the line itself, which is shown on demand.
const MAX_FIELDS = 40;
const MAX_VALUE = 300;
const MAX_NAME = 60;

const MESSAGES = ['msg', 'message', '@message', 'event', 'log'];
// The level has a column, and the engine's time as well.
const HIDDEN = new Set(['level', 'lvl', 'severity', 'time', 'ts', 'timestamp', '@timestamp', '@level']);

/** Returns a line of JSON in short, or `undefined` if the line is none. */
export function foldJson(line: string): FoldedLine | undefined {
  const trimmed = line.trim();
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(trimmed);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = Object.entries(value);
  const [name, message] = fields.find(([key, text]) => MESSAGES.includes(key) && typeof text === 'string') ?? ['', ''];
  const head = stripAnsi(String(message));
  const parts: string[] = [];
  for (const [key, content] of fields) {
    if (key === name || HIDDEN.has(key.toLowerCase())) continue;
    if (parts.length === MAX_FIELDS) {
      parts.push('…');
      break;
    }
    parts.push(`${shorten(stripAnsi(key), MAX_NAME)}=${fieldText(content)}`);
  }
  if (head === '' && parts.length === 0) return undefined;
  const gap = head !== '' && parts.length > 0 ? '  ' : '';
  return { text: `${head}${gap}${parts.join(' ')}`, fieldsAt: head.length + gap.length };
}

function fieldText(value: unknown): string {
  if (typeof value !== 'string') return shorten(stripAnsi(JSON.stringify(value) ?? ''), MAX_VALUE);
  const text = shorten(stripAnsi(value), MAX_VALUE);
  return /[\s"=]/.test(text) || text === '' ? JSON.stringify(text) : text;
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}
