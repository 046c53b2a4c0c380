import { expect, test } from 'vitest';
import { LineStore } from '../src/log/lineStore';
import { copyLines, exportLines } from '../src/log/logExport';
import type { LogEntry } from '../src/log/muxMessages';
import { logNotice } from '../src/views/LogMessage';

const entry = (millis: number, text: string, rest: Partial<LogEntry> = {}): LogEntry => ({
  time: BigInt(millis) * 1_000_000n, isStderr: false, isPartial: false, bytes: new TextEncoder().encode(text), ...rest,
});
const source = (name: string) => ({ name, container: name, isLive: true });

test('a file has the times, the names, and the bytes of the lines, and no remarks', async () => {
  const store = new LineStore();
  store.append(0, [entry(0, 'one'), entry(1000, '\u001b[31mred', { isStderr: true })]);
  store.appendMarker(0, 'stopped');
  store.append(1, [entry(2000, 'two')]);
  const text = await exportLines(store, [source('a'), source('b')]).text();
  expect(text).toBe('1970-01-01T00:00:00.000Z a one\n1970-01-01T00:00:01.000Z a \u001b[31mred\n1970-01-01T00:00:02.000Z b two\n');
  expect(copyLines(store)).toEqual({ text: 'one\nred\ntwo', isCut: false });
});

test('the parts of a long line are joined, unless another line came between them', async () => {
  const store = new LineStore();
  store.append(0, [
    entry(0, 'a1', { isPartial: true }), entry(0, 'a2'),
    entry(1, 'b1', { isPartial: true }), entry(1, 'err', { isStderr: true }), entry(1, 'b2'),
  ]);
  const lines = (await exportLines(store, [source('a')]).text()).split('\n').map((line) => line.split(' ')[1]);
  expect(lines).toEqual(['a1a2', 'b1', 'err', 'b2', undefined]);
});

test('a copy has the last lines of a log that is too long for a clipboard', () => {
  const store = new LineStore();
  store.append(0, Array.from({ length: 3000 }, (_, at) => entry(at, `${at} ${'x'.repeat(1000)}`)));
  const { text, isCut } = copyLines(store);
  expect([isCut, text.split('\n').at(-1)?.split(' ')[0]]).toEqual([true, '2999']);
  expect(text.length).toBeLessThan(1.1 * 1024 * 1024);
});

test('each refusal of a log has a title and what helps', () => {
  expect(logNotice(501, 'the backend "moby" cannot read the log of container a: none').commands).toEqual(['docker run --log-driver json-file …']);
  expect(logNotice(501, 'the backend "x" cannot read logs').commands).toContain('rdd plugin list');
  expect(logNotice(404, 'no container').title).toContain('no such container');
  expect(logNotice(503, 'x').commands).toEqual(['docker info']);
});
