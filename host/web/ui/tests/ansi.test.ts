import { expect, test } from 'vitest';
import { parseAnsi, stripAnsi } from '../src/log/ansi';

const E = '\u001b';

test('colors and styles become spans', () => {
  expect(parseAnsi(`a${E}[31mb${E}[1;4mc${E}[0md`)).toEqual([
    { text: 'a', style: {} },
    { text: 'b', style: { foreground: 1 } },
    { text: 'c', style: { foreground: 1, bold: true, underline: true } },
    { text: 'd', style: {} },
  ]);
  expect(parseAnsi(`${E}[92;103mx`)[0]?.style).toEqual({ foreground: 10, background: 11 });
});

test('colors of 256 and true colors are understood in each notation', () => {
  const style = (codes: string): unknown => parseAnsi(`${E}[${codes}mx`)[0]?.style;
  expect(style('38;5;9')).toEqual({ foreground: 9 });
  expect(style('38;5;196')).toEqual({ foreground: '#ff0000' });
  expect(style('48;5;244')).toEqual({ background: '#808080' });
  expect(style('38;2;1;2;300')).toEqual({ foreground: '#0102ff' });
  expect(style('38:2::1:2:3')).toEqual({ foreground: '#010203' });
  expect(style('38;2;1;2;3;1')).toEqual({ foreground: '#010203', bold: true });
});

test('every other sequence is left out', () => {
  for (const sequence of [
    `${E}[2J`, `${E}[10;20H`, `${E}]0;title\u0007`, `${E}]8;;http://evil${E}\\`, `${E}(B`, `${E}c`,
    `${E}[?25l`, `${E}P1$r${E}\\`, `${E}[3`, `${E}`, `${E}]0;without an end`,
  ]) {
    expect(stripAnsi(`a${sequence}`), JSON.stringify(sequence)).toBe('a');
  }
});

test('control characters and marks of direction are visible', () => {
  expect(parseAnsi('a\u0007b\rc\u202ed\u007f\te')[0]?.text).toBe('a\u2407b\u240dc\ufffdd\u2421\te');
});

test('a line of very many colors has a limited number of spans', () => {
  expect(parseAnsi(`${E}[31mx${E}[32my`.repeat(5000)).length).toBeLessThanOrEqual(2001);
});
