import { expect, test } from 'vitest';
import { LineFlag, LineStore, type LineFilter } from '../src/log/lineStore';
import { LogLevel } from '../src/log/logLevel';
import type { LogEntry } from '../src/log/muxMessages';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function entry(time: number, text: string, rest: Partial<LogEntry> = {}): LogEntry {
  return { time: BigInt(time) * 1_000_000n, isStderr: false, isPartial: false, bytes: encoder.encode(text), ...rest };
}

function texts(store: LineStore): string[] {
  return Array.from({ length: store.length }, (_, at) => decoder.decode(store.at(at)?.bytes));
}

test('lines of several sources are merged by time', () => {
  const store = new LineStore();
  store.append(0, [entry(1, 'a1'), entry(5, 'a5'), entry(9, 'a9')]);
  store.append(1, [entry(2, 'b2'), entry(5, 'b5'), entry(7, 'b7')]);
  store.append(2, [entry(0, 'c0'), entry(10, 'c10')]);
  expect(texts(store)).toEqual(['c0', 'a1', 'b2', 'a5', 'b5', 'b7', 'a9', 'c10']);
});

test('a time that runs backward does not change the order of a source', () => {
  const store = new LineStore();
  store.append(0, [entry(5, 'first'), entry(3, 'second'), entry(6, 'third')]);
  store.append(1, [entry(4, 'other')]);
  expect(texts(store)).toEqual(['other', 'first', 'second', 'third']);
  expect(store.at(2)?.time).toBe(3_000_000n);
});

test('the parts of a long line are marked, and the streams do not mix', () => {
  const store = new LineStore();
  store.append(0, [
    entry(1, 'out-1', { isPartial: true }),
    entry(1, 'err', { isStderr: true }),
    entry(1, 'out-2'),
    entry(1, 'next'),
  ]);
  const flags = [0, 1, 2, 3].map((at) => store.at(at)?.flags);
  expect(flags).toEqual([LineFlag.partial, LineFlag.stderr, LineFlag.continued, 0]);
});

test('a marker comes behind the last line of its source', () => {
  const store = new LineStore();
  store.append(0, [entry(1, 'a'), entry(2, 'b')]);
  store.append(1, [entry(9, 'z')]);
  store.appendMarker(0, 'stopped');
  expect(texts(store)).toEqual(['a', 'b', 'stopped', 'z']);
  expect(store.at(2)?.flags).toBe(LineFlag.marker);
});

test('the marker of a cut is between the last lines before it and the first ones after it', () => {
  const store = new LineStore();
  store.append(0, [entry(10, 'a before'), entry(20, 'a last')]);
  store.append(1, [entry(15, 'b before'), entry(21, 'b last')]);
  store.appendSharedMarker({ since: 25, sources: [0, 1] }, 'cut', 40_000_000n);
  // Written while nobody read them: earlier than the end of the cut.
  store.append(1, [entry(22, 'b after')]);
  store.append(0, [entry(30, 'a after')]);
  expect(texts(store)).toEqual(['a before', 'b before', 'a last', 'b last', 'cut', 'b after', 'a after']);
  expect(store.at(4)).toMatchObject({ time: 40_000_000n, flags: LineFlag.marker });
});

test('the marker of a cut does not move the lines of a log that is behind the others', () => {
  const store = new LineStore();
  store.append(0, [entry(10, 'a1')]);
  store.append(1, [entry(90, 'b1')]);
  store.appendSharedMarker({ since: 95, sources: [0, 1] }, 'cut', 99_000_000n);
  store.append(0, [entry(50, 'a2'), entry(91, 'a3')]);
  expect(texts(store)).toEqual(['a1', 'a2', 'b1', 'cut', 'a3']);
});

test('the oldest lines are dropped when there are too many, and the rest stays whole', () => {
  const store = new LineStore(1 << 30, 20_000);
  for (let batch = 0; batch < 30; batch += 1) {
    store.append(0, Array.from({ length: 1000 }, (_, at) => entry(batch * 1000 + at, `${batch * 1000 + at}`)));
    store.dropOldest();
  }
  expect(store.length + store.droppedLines).toBe(30_000);
  expect(store.length).toBeLessThanOrEqual(20_000);
  expect(texts(store).map(Number)).toEqual(
    Array.from({ length: store.length }, (_, at) => store.droppedLines + at),
  );
});

test('a line that is longer than a page is kept whole', () => {
  const store = new LineStore();
  const long = 'x'.repeat(3 * 1024 * 1024);
  store.append(0, [entry(1, 'a'), entry(2, long), entry(3, 'b')]);
  expect(texts(store).map((text) => text.length)).toEqual([1, long.length, 1]);
});

test('random batches of three sources are merged as a sort would', () => {
  let seed = 7;
  const random = (limit: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % limit;
  };
  const store = new LineStore();
  const clocks = [0, 0, 0];
  const all: { time: number; text: string }[] = [];
  for (let batch = 0; batch < 200; batch += 1) {
    const source = random(3);
    const entries = Array.from({ length: 1 + random(20) }, () => {
      clocks[source] = (clocks[source] ?? 0) + 1 + random(5);
      const time = (clocks[source] ?? 0) * 3 + source;
      all.push({ time, text: `${source}-${time}` });
      return entry(time, `${source}-${time}`);
    });
    store.append(source, entries);
  }
  all.sort((a, b) => a.time - b.time);
  expect(texts(store)).toEqual(all.map(({ text }) => text));
});

const hasA = (bytes: Uint8Array, from: number, to: number): boolean => bytes.subarray(from, to).includes(0x61);

function finish(steps: Generator<void>): void {
  while (steps.next().done !== true);
}

test('matches are counted, found in both directions, and forgotten', () => {
  const store = new LineStore();
  store.append(0, ['a', 'b', 'ab', 'c'].map((text, at) => entry(at, text)));
  finish(store.search(hasA));
  expect(store.matchCount).toBe(2);
  store.append(0, [entry(9, 'xa')]);
  expect(store.matchCount).toBe(3);
  expect([store.findMatch(1, 1), store.findMatch(1, -1), store.findMatch(3, 1)]).toEqual([2, 0, 4]);
  finish(store.search(undefined));
  expect([store.matchCount, store.findMatch(0, 1)]).toEqual([0, -1]);
});

test('a filter leaves levels, streams, and matches, also of lines that come later', () => {
  const store = new LineStore();
  store.append(0, [
    entry(1, 'INFO a'), entry(2, 'ERROR b', { isStderr: true }), entry(3, '  at c', { isStderr: true }),
    entry(4, 'plain'), entry(5, 'DEBUG d'),
  ]);
  store.appendMarker(0, 'stopped', 5_000_000n);
  const filter: LineFilter = { minLevel: LogLevel.none, streams: 'both', isMatchingOnly: false };
  const left = (part: Partial<LineFilter>): string[] => {
    store.setFilter({ ...filter, ...part });
    return texts(store);
  };
  expect(left({ minLevel: LogLevel.error })).toEqual(['ERROR b', '  at c', 'stopped']);
  expect(left({ minLevel: LogLevel.info })).toEqual(['INFO a', 'ERROR b', '  at c', 'plain', 'stopped']);
  expect(left({ streams: 'stdout' })).toEqual(['INFO a', 'plain', 'DEBUG d', 'stopped']);
  finish(store.search(hasA));
  expect(left({ isMatchingOnly: true })).toEqual(['INFO a', '  at c', 'plain', 'stopped']);
  store.append(0, [entry(6, 'e'), entry(7, 'fa')]);
  expect(texts(store)).toEqual(['INFO a', '  at c', 'plain', 'stopped', 'fa']);
  expect([store.matchCount, store.total, store.length]).toEqual([4, 8, 5]);
  const id = store.at(2)?.id ?? 0;
  store.setFilter(undefined);
  expect(decoder.decode(store.at(store.positionOf(id))?.bytes)).toBe('plain');
});
