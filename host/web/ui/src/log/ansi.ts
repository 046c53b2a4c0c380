// Colors and styles of terminals (SGR). Every other escape sequence is left out, and
// other control characters are made visible, so that a log line can neither move
// what is around it nor hide something.

/** A color: one of the 16 named ones, or an RGB value as `#rrggbb`. */
export type AnsiColor = number | string;

export interface AnsiStyle {
  foreground?: AnsiColor | undefined;
  background?: AnsiColor | undefined;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
  strike?: boolean;
  inverse?: boolean;
}

export interface AnsiSpan {
  text: string;
  style: AnsiStyle;
}

const ESCAPE = '\u001b';
// A line of many thousand colors would be as many elements.
const MAX_SPANS = 2000;
// CSI with its final byte; OSC, DCS, PM and APC with their text; other sequences; and
// the 8-bit forms of CSI.
const SEQUENCE =
  /[\u001b](?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|\[[0-?]*[ -/]*$|[ -/]*[0-~]|$)|\u009b([0-?]*)[ -/]*([@-~])/g;
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Splits a line into spans of one style. The style begins anew with each line. */
export function parseAnsi(line: string): AnsiSpan[] {
  if (!line.includes(ESCAPE) && !line.includes('\u009b')) {
    return [{ text: visible(line), style: {} }];
  }
  const spans: AnsiSpan[] = [];
  let style: AnsiStyle = {};
  let from = 0;
  const push = (text: string): void => {
    if (text !== '') spans.push({ text: visible(text), style });
  };
  for (const match of line.matchAll(SEQUENCE)) {
    push(line.slice(from, match.index));
    from = match.index + match[0].length;
    if ((match[2] ?? match[4]) === 'm') style = applySgr(style, match[1] ?? match[3] ?? '');
    if (spans.length >= MAX_SPANS) break;
  }
  push(spans.length >= MAX_SPANS ? stripAnsi(line.slice(from)) : line.slice(from));
  return spans;
}

/** Returns the text of a line without escape sequences. */
export function stripAnsi(line: string): string {
  return line.replace(SEQUENCE, '');
}

/** Shows control characters and marks of writing direction as symbols. */
function visible(text: string): string {
  return text.replace(CONTROL, (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? '\u2421' : '\ufffd';
  });
}

function applySgr(before: AnsiStyle, parameters: string): AnsiStyle {
  // Colons separate the parts of one color, semicolons everything.
  const codes = parameters.split(/[;:]/).map((code) => (code === '' ? 0 : Number(code)));
  let style = { ...before };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    if (code === 0) style = {};
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.inverse = true;
    else if (code === 9) style.strike = true;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code === 27) style.inverse = false;
    else if (code === 29) style.strike = false;
    else if (code >= 30 && code <= 37) style.foreground = code - 30;
    else if (code === 39) style.foreground = undefined;
    else if (code >= 40 && code <= 47) style.background = code - 40;
    else if (code === 49) style.background = undefined;
    else if (code >= 90 && code <= 97) style.foreground = code - 82;
    else if (code >= 100 && code <= 107) style.background = code - 92;
    else if (code === 38 || code === 48) {
      const [color, used] = extendedColor(codes, at + 1, parameters.includes(':'));
      at += used;
      if (color !== undefined) style[code === 38 ? 'foreground' : 'background'] = color;
    }
  }
  return style;
}

/** Reads the color after 38 or 48, and the number of codes that it took. */
function extendedColor(
  codes: number[],
  at: number,
  hasColons: boolean,
): [AnsiColor | undefined, number] {
  if (codes[at] === 5) return [paletteColor(codes[at + 1] ?? 0), 2];
  if (codes[at] !== 2) return [undefined, 0];
  // With colons, the name of a color space may come first: 38:2::R:G:B.
  const first = hasColons && codes.length - at >= 5 ? at + 2 : at + 1;
  const parts = [codes[first], codes[first + 1], codes[first + 2]];
  return [hex(parts.map((part) => clampByte(part ?? 0))), first + 2 - at + 1];
}

function paletteColor(index: number): AnsiColor | undefined {
  if (index < 16) return index;
  if (index > 255) return undefined;
  if (index >= 232) {
    const gray = 8 + (index - 232) * 10;
    return hex([gray, gray, gray]);
  }
  const level = (value: number): number => (value === 0 ? 0 : 55 + value * 40);
  const cube = index - 16;
  return hex([level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)]);
}

function clampByte(value: number): number {
  return Number.isFinite(value) ? Math.min(255, Math.max(0, Math.trunc(value))) : 0;
}

function hex(parts: number[]): string {
  return `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}
