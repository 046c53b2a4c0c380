import { expect, test } from 'vitest';
import { detectLevel, levelOf, LogLevel } from '../src/log/logLevel';

const level = (text: string): number => detectLevel(new TextEncoder().encode(text));

test('levels are found where programs write them', () => {
  const lines: [string, number][] = [
    ['{"level":"error","msg":"x"}', LogLevel.error],
    ['{"time":"…","severity":"WARNING"}', LogLevel.warn],
    ['{"level":30,"msg":"pino"}', LogLevel.info],
    ['{"lvl": "dbg"}', LogLevel.debug],
    ['time=2026 level=warning msg="a b"', LogLevel.warn],
    ['E0102 15:04:05.000000 1 main.go:1] failed', LogLevel.error],
    ['2026-01-02 10:00:00 ERROR main: it failed', LogLevel.error],
    ['[info] started', LogLevel.info],
    ['warning: deprecated', LogLevel.warn],
    ['\u001b[31mERR\u001b[0m no', LogLevel.error],
    ['<7>[debug] x', LogLevel.debug],
    ['FATAL: role does not exist', LogLevel.error],
    ['trace: entering', LogLevel.trace],
  ];
  for (const [line, expected] of lines) expect([line, level(line)]).toEqual([line, expected]);
});

test('words that are no levels are left alone', () => {
  for (const line of [
    'the information is there', 'GET /errors 200', 'INFORMAL', 'no error occurred', '', 'E01 15:04', 'WARNINGS=3',
    '{"msg":"ERROR in a text"}', 'log of the day',
  ]) {
    expect([line, level(line)]).toEqual([line, LogLevel.none]);
  }
});

test('only the beginning of a line is read, and long ones take no longer', () => {
  expect(level(`${'x'.repeat(300)} ERROR`)).toBe(LogLevel.none);
  const long = new Uint8Array(4 * 1024 * 1024).fill(0x5b);
  const began = performance.now();
  for (let round = 0; round < 1000; round += 1) detectLevel(long);
  // A thousand times what the whole line has would take minutes.
  expect(performance.now() - began).toBeLessThan(5000);
});

test('numbers of bunyan and pino have levels, and others have none', () => {
  expect([10, 20, 30, 40, 50, 60, '50', 7, 'x', null, undefined].map(levelOf)).toEqual([1, 2, 3, 4, 5, 5, 5, 0, 0, 0, 0]);
});
