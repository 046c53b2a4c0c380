// Builds the element of a line. Text reaches the page through `textContent` alone.

import { formatTime, type TimeMode } from '../format';
import { parseAnsi, type AnsiColor, type AnsiSpan, type AnsiStyle } from './ansi';
import { LineFlag } from './lineStore';
import { LogLevel } from './logLevel';
import type { LineView } from './workerMessages';

export interface RowOptions {
  timeMode: TimeMode;
  sourceNames: readonly string[];
  now: number;
}

export function logRow(line: LineView, options: RowOptions): HTMLElement {
  const row = element('div', 'line');
  row.dataset['id'] = String(line.id);
  const isStderr = (line.flags & LineFlag.stderr) !== 0;
  const isContinued = (line.flags & LineFlag.continued) !== 0;
  const isMarker = (line.flags & LineFlag.marker) !== 0;
  row.classList.toggle('stderr', isStderr);
  row.classList.toggle('marker', isMarker);
  if (options.timeMode !== 'none') {
    const text = isContinued ? '' : formatTime(line.time, options.timeMode, options.now);
    const time = element('time', 'time', text);
    time.setAttribute('datetime', new Date(line.time).toISOString());
    time.title = new Date(line.time).toISOString();
    row.append(time);
  }
  if (isMarker) {
    row.append(element('span', 'text', line.text));
    return row;
  }
  if (options.sourceNames.length > 1) {
    const name = element('span', `source source-${line.source % 8}`, options.sourceNames[line.source] ?? '');
    name.title = name.textContent ?? '';
    row.append(name);
  }
  row.append(levelBadge(line.level));
  if (isStderr) row.append(element('span', 'hidden', 'stderr: '));
  row.append(lineText(line));
  return row;
}

const LEVELS = [
  ['', ''], ['T', 'trace'], ['D', 'debug'], ['I', 'info'], ['W', 'warning'], ['E', 'error'],
] as const;

/** A column of one letter. Screen readers get the word where it matters. */
function levelBadge(level: number): HTMLElement {
  const [letter, word] = LEVELS[level] ?? LEVELS[0];
  const badge = element('span', `level level-${level}`);
  const sign = element('span', '', letter);
  sign.setAttribute('aria-hidden', 'true');
  badge.append(sign);
  badge.title = word;
  if (level >= LogLevel.warn) badge.append(element('span', 'hidden', `${word}: `));
  return badge;
}

/** Returns the spans of a line. A folded one has no escape sequences, and two parts. */
function spansOf({ text, fieldsAt }: LineView): AnsiSpan[] {
  if (fieldsAt < 0) return parseAnsi(text);
  return [text.slice(0, fieldsAt), text.slice(fieldsAt)].flatMap((part) => parseAnsi(part));
}

function lineText(line: LineView): HTMLElement {
  const text = element('span', 'text');
  let at = 0;
  for (const span of spansOf(line)) {
    for (const [part, isMatch] of splitMatches(span.text, at, line.matches)) {
      const node = element(isMatch ? 'mark' : 'span', '', part);
      applyStyle(node, span.style);
      if (line.fieldsAt >= 0 && at >= line.fieldsAt) node.classList.add('fields');
      text.append(node);
    }
    at += span.text.length;
  }
  if (line.omitted > 0) {
    text.append(element('span', 'omitted', ` … ${line.omitted} more bytes; download the log to see them`));
  }
  return text;
}

/** Splits the text of a span, which begins at a place in the line, at matches. */
export function splitMatches(text: string, at: number, matches: readonly number[]): [string, boolean][] {
  const parts: [string, boolean][] = [];
  let done = 0;
  for (let index = 0; index + 1 < matches.length; index += 2) {
    const from = Math.max(done, (matches[index] ?? 0) - at);
    const to = Math.min(text.length, (matches[index + 1] ?? 0) - at);
    if (to <= from) continue;
    if (from > done) parts.push([text.slice(done, from), false]);
    parts.push([text.slice(from, to), true]);
    done = to;
  }
  if (done < text.length) parts.push([text.slice(done), false]);
  return parts;
}

function applyStyle(node: HTMLElement, style: AnsiStyle): void {
  const [foreground, background] = style.inverse === true
    ? [style.background ?? 'inverse', style.foreground ?? 'inverse']
    : [style.foreground, style.background];
  setColor(node, 'fg', 'color', foreground, background === undefined);
  setColor(node, 'bg', 'background-color', background, false);
  for (const name of ['bold', 'dim', 'italic', 'underline', 'strike'] as const) {
    if (style[name] === true) node.classList.add(name);
  }
}

/**
 * Named colors belong to the theme. Others are what the log says, made dark or light
 * enough to be read where they have no background of their own.
 */
function setColor(node: HTMLElement, prefix: string, property: string, color: AnsiColor | undefined, isAlone: boolean): void {
  if (color === undefined) return;
  if (typeof color === 'number' || !color.startsWith('#')) node.classList.add(`${prefix}-${color}`);
  else if (isAlone) node.style.setProperty(property, readable(color));
  else node.style.setProperty(property, color);
}

function readable(color: string): string {
  return `light-dark(oklch(from ${color} min(l, 0.5) c h), oklch(from ${color} max(l, 0.72) c h))`;
}

function element(name: string, className: string, text?: string): HTMLElement {
  const node = document.createElement(name);
  if (className !== '') node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}
