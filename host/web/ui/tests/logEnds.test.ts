import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EndTracker } from '../src/log/logEnds';
import { cutText, endText } from '../src/log/logMarkers';

let told: string[] = [];
let ends: EndTracker;

beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  ends = new EndTracker((sources, names, reason) => told.push(`${sources.join()} ${endText(names, reason)}`));
});
afterEach(() => {
  vi.useRealTimers();
});

test('logs that end together for the same reason are told together', () => {
  ends.end({ index: 0, name: 'a', reason: 'no engine' });
  ends.end({ index: 1, name: 'b', reason: 'removed' });
  vi.advanceTimersByTime(500);
  ends.end({ index: 2, name: 'c', reason: 'no engine' });
  vi.advanceTimersByTime(500);
  expect(told).toEqual(['0,2 the logs of a, c ended: no engine', '1 the log of b ended: removed']);
});

test('a log that is tried again and fails again is told once', () => {
  for (let round = 0; round < 3; round += 1) {
    ends.end({ index: 0, name: 'a', reason: `no engine ${round}` });
    vi.advanceTimersByTime(2000);
  }
  expect(told).toEqual(['0 the log of a ended: no engine 0']);
  // It went on, and ended again.
  ends.resume(0);
  ends.end({ index: 0, name: 'a', reason: 'removed' });
  vi.advanceTimersByTime(2000);
  expect(told.length).toBe(2);
});

test('a log that goes on at once is not told', () => {
  ends.end({ index: 0, name: 'a', reason: 'no engine' });
  vi.advanceTimersByTime(500);
  ends.resume(0);
  vi.advanceTimersByTime(5000);
  expect(told).toEqual([]);
});

test('remarks have few names, and say how long a cut took', () => {
  const names = Array.from({ length: 6 }, (_, at) => `c${at}`);
  expect(endText(names, 'removed')).toBe('the logs of 6 containers ended: removed');
  const cut = { since: 1000, sources: [0] };
  expect(cutText({ ...cut, cause: 'connection' }, 6000)).toBe('reconnected after 5s');
  expect(cutText({ ...cut, cause: 'engine' }, 121_000)).toMatch(/^engine reconnected after 2m: /);
});
