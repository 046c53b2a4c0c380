import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BackoffTimer } from '../src/backoff';
import type { LogCut } from '../src/log/logCuts';
import { MuxClient, type ConnectionStatus, type SocketLike } from '../src/log/muxClient';
import { readBatch, subscribeMessages, type LogTarget } from '../src/log/muxMessages';

class FakeSocket implements SocketLike {
  binaryType = '';
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  sent: Record<string, unknown>[] = [];
  send(data: string): void {
    expect(data.length).toBeLessThanOrEqual(4096);
    this.sent.push(JSON.parse(data) as Record<string, unknown>);
  }
  close(): void {
    this.onclose?.({ code: 1000, reason: '' });
  }
  receive(data: unknown): void {
    this.onmessage?.({ data: data instanceof ArrayBuffer ? data : JSON.stringify(data) });
  }
}

/** Encodes a message of entries, as docs/passthrough.md describes it. */
function batch(id: number, source: number, cursor: string, texts: string[]): ArrayBuffer {
  const encoded = texts.map((text) => new TextEncoder().encode(text));
  const size = 9 + cursor.length + encoded.reduce((sum, bytes) => sum + 13 + bytes.length, 0);
  const buffer = new ArrayBuffer(size);
  const view = new DataView(buffer);
  view.setUint32(0, id);
  view.setUint32(4, source);
  view.setUint8(8, cursor.length);
  new Uint8Array(buffer, 9).set(new TextEncoder().encode(cursor));
  let at = 9 + cursor.length;
  for (const bytes of encoded) {
    view.setBigInt64(at, 1_700_000_000_000_000_007n);
    view.setUint8(at + 8, 1);
    view.setUint32(at + 9, bytes.length);
    new Uint8Array(buffer, at + 13).set(bytes);
    at += 13 + bytes.length;
  }
  return buffer;
}

let sockets: FakeSocket[] = [];
let statuses: ConnectionStatus[] = [];
let texts: string[] = [];
let probeStatus = 400;
let errors: [string, boolean][] = [];
let cuts: LogCut[] = [];

function client(targets: LogTarget[] = [{ container: 'c1' }]): MuxClient {
  return new MuxClient({
    targets,
    range: { tail: 100, follow: 'restart' },
    openSocket: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    probe: () => Promise.resolve({ status: probeStatus, message: `status ${probeStatus}` }),
    onEntries: (source, { entries }) => {
      texts.push(...entries.map(({ bytes }) => `${source.index}:${new TextDecoder().decode(bytes)}`));
    },
    onEvent: (_, { type }) => texts.push(type),
    onResume: (cut) => {
      cuts.push(cut);
      texts.push(`after ${cut.cause}`);
    },
    onError: (message, _, isFinal) => errors.push([message, isFinal]),
    onStatus: (status) => statuses.push(status),
    backoff: new BackoffTimer(100, 1000, () => 1),
    engineBackoff: new BackoffTimer(100, 400, () => 1),
  });
}

const joined = (id: number, source: number, container: string): unknown => ({
  type: 'joined', id, source, container, name: container, labels: {},
});

beforeEach(() => {
  vi.useFakeTimers();
  [sockets, statuses, texts, errors, cuts, probeStatus] = [[], [], [], [], [], 400];
});
afterEach(() => {
  vi.useRealTimers();
});

test('entries are read as the reference describes them', () => {
  const { id, source, cursor, entries, cost } = readBatch(batch(7, 9, 'AQfB', ['hi', '']));
  expect({ id, source, cursor, cost }).toEqual({ id: 7, source: 9, cursor: 'AQfB', cost: 3 });
  expect(entries[0]).toMatchObject({ time: 1_700_000_000_000_000_007n, isStderr: true, isPartial: false });
});

test('after a cut, each log goes on at its cursor', async () => {
  client([{ project: 'shop' }]);
  sockets[0]?.onopen?.(undefined as never);
  expect(sockets[0]?.sent).toEqual([
    { op: 'subscribe', id: 0, project: 'shop', tail: 100, follow: 'restart', credit: 1048576 },
  ]);
  sockets[0]?.receive(joined(0, 5, 'c1'));
  sockets[0]?.receive(joined(0, 6, 'c2'));
  sockets[0]?.receive(batch(0, 5, 'one', ['a']));
  sockets[0]?.receive(batch(0, 6, 'two', ['b']));
  sockets[0]?.onclose?.({ code: 1006, reason: '' });
  await vi.advanceTimersByTimeAsync(100);
  sockets[1]?.onopen?.(undefined as never);
  expect(sockets[1]?.sent[0]).toMatchObject({ tail: 100, cursors: { c1: 'one', c2: 'two' } });
  // Numbers of sources belong to a connection, those of the page stay.
  sockets[1]?.receive(joined(0, 1, 'c2'));
  sockets[1]?.receive(batch(0, 1, 'three', ['c']));
  expect(texts.filter((text) => /^\d/.test(text))).toEqual(['0:a', '1:b', '1:c']);
});

test('logs that are cut off together have one cut, before the first of what follows', async () => {
  client([{ project: 'shop' }]);
  sockets[0]?.onopen?.(undefined as never);
  for (const [number, container] of [[5, 'c1'], [6, 'c2'], [7, 'c3']] as const) sockets[0]?.receive(joined(0, number, container));
  sockets[0]?.receive(batch(0, 5, 'one', ['a']));
  sockets[0]?.receive(batch(0, 6, 'two', ['b']));
  vi.setSystemTime(5000);
  sockets[0]?.onclose?.({ code: 1006, reason: '' });
  await vi.advanceTimersByTimeAsync(100);
  sockets[1]?.onopen?.(undefined as never);
  sockets[1]?.receive(joined(0, 1, 'c2'));
  sockets[1]?.receive(joined(0, 2, 'c1'));
  sockets[1]?.receive(joined(0, 3, 'c3'));
  texts = [];
  // A log that is not written to goes on with its cursor.
  sockets[1]?.receive(batch(0, 2, 'one', []));
  sockets[1]?.receive(batch(0, 1, 'three', ['c']));
  // Nothing had arrived from the third one: nothing was cut off.
  sockets[1]?.receive(batch(0, 3, 'four', ['d']));
  expect(texts).toEqual(['after connection', '1:c', '2:d']);
  expect(cuts).toEqual([{ cause: 'connection', since: 5000, sources: [0, 1] }]);
  // The next cut is another one.
  sockets[1]?.onclose?.({ code: 1006, reason: '' });
  await vi.advanceTimersByTimeAsync(1000);
  sockets[2]?.onopen?.(undefined as never);
  sockets[2]?.receive(joined(0, 1, 'c2'));
  sockets[2]?.receive(batch(0, 1, 'five', ['e']));
  expect(cuts.length).toBe(2);
});

test('an engine that was lost and is back is a cut, of one container and of a project', async () => {
  client([{ container: 'c1' }, { project: 'shop' }]);
  const [socket] = sockets;
  socket?.onopen?.(undefined as never);
  socket?.receive(joined(0, 1, 'c1'));
  socket?.receive(joined(1, 2, 'c2'));
  socket?.receive(batch(0, 1, 'one', ['a']));
  socket?.receive(batch(1, 2, 'two', ['b']));
  socket?.receive({ type: 'error', id: 0, code: 503, message: 'not now' });
  socket?.receive({ type: 'left', id: 1, source: 2, reason: 'not now' });
  await vi.advanceTimersByTimeAsync(1000);
  texts = [];
  socket?.receive(joined(0, 3, 'c1'));
  socket?.receive(joined(1, 4, 'c2'));
  socket?.receive({ type: 'started', id: 1, source: 4, time: null });
  socket?.receive(batch(0, 3, 'three', ['c']));
  expect(texts).toEqual(['joined', 'joined', 'after engine', 'started', '0:c']);
  expect(cuts).toMatchObject([{ cause: 'engine', sources: [0, 1] }]);
});

test('a container that is gone for good does not begin the next cut', async () => {
  client([{ project: 'shop' }]);
  sockets[0]?.onopen?.(undefined as never);
  sockets[0]?.receive(joined(0, 1, 'c1'));
  sockets[0]?.receive(joined(0, 2, 'c2'));
  sockets[0]?.receive(batch(0, 1, 'one', ['a']));
  sockets[0]?.receive(batch(0, 2, 'two', ['b']));
  vi.setSystemTime(1000);
  sockets[0]?.receive({ type: 'left', id: 0, source: 1, reason: 'the container was removed' });
  vi.setSystemTime(9000);
  sockets[0]?.onclose?.({ code: 1006, reason: '' });
  await vi.advanceTimersByTimeAsync(100);
  sockets[1]?.onopen?.(undefined as never);
  sockets[1]?.receive(joined(0, 1, 'c2'));
  sockets[1]?.receive(batch(0, 1, 'three', ['c']));
  expect(cuts).toMatchObject([{ cause: 'connection', since: 9000 }]);
});

test('a container that is named has a cursor or a tail, and never both', () => {
  const cursors = new Map([['c1', 'one']]);
  const [message] = subscribeMessages({ id: 1, target: { container: 'c1' }, range: { tail: 5, follow: 'restart' }, credit: 1, cursors });
  expect(JSON.parse(message ?? '')).not.toHaveProperty('tail');
});

test('long lists of cursors have messages of their own', () => {
  const cursors = new Map(Array.from({ length: 60 }, (_, at) => [`${'c'.repeat(62)}${10 + at}`, 'x'.repeat(100)]));
  const messages = subscribeMessages({ id: 1, target: { project: 'p' }, range: { tail: 5, follow: 'restart' }, credit: 1, cursors });
  expect(messages.every((message) => message.length < 4096)).toBe(true);
  const seen = messages.flatMap((message) => Object.keys((JSON.parse(message) as { cursors: object }).cursors));
  expect(seen.length).toBe(60);
  expect(JSON.parse(messages.at(-1) ?? '')).toMatchObject({ op: 'subscribe', id: 1 });
});

test('credit is returned for what was taken, and withheld while it is held', () => {
  const mux = client();
  sockets[0]?.onopen?.(undefined as never);
  sockets[0]?.receive(joined(0, 1, 'c1'));
  const large = 'x'.repeat(300_000);
  sockets[0]?.receive(batch(0, 1, 'a', [large]));
  expect(sockets[0]?.sent.at(-1)).toEqual({ op: 'credit', id: 0, bytes: 300_000 });
  mux.hold(true);
  sockets[0]?.receive(batch(0, 1, 'b', [large]));
  expect(sockets[0]?.sent.length).toBe(2);
  mux.hold(false);
  expect(sockets[0]?.sent.at(-1)).toEqual({ op: 'credit', id: 0, bytes: 300_000 });
});

test('a session that is over is not tried again', async () => {
  client();
  probeStatus = 401;
  sockets[0]?.onclose?.({ code: 1006, reason: '' });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(statuses.at(-1)).toBe('signedOut');
  expect(sockets.length).toBe(1);
});

test('what waiting cannot fix is said once, and what may recover is tried again', async () => {
  client();
  probeStatus = 503;
  sockets[0]?.onclose?.({ code: 1006, reason: '' });
  await vi.advanceTimersByTimeAsync(100);
  expect(sockets.length).toBe(2);
  probeStatus = 501;
  sockets[1]?.onclose?.({ code: 1006, reason: '' });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sockets.length).toBe(2);
  expect(errors).toEqual([['status 503', false], ['status 501', true]]);
  expect(statuses.at(-1)).toBe('closed');
});

test('a daemon that is gone is tried again, less and less often', async () => {
  client();
  for (const delay of [100, 200, 400, 800, 1000, 1000]) {
    sockets.at(-1)?.onclose?.({ code: 1006, reason: '' });
    const before = sockets.length;
    await vi.advanceTimersByTimeAsync(delay - 1);
    expect(sockets.length).toBe(before);
    await vi.advanceTimersByTimeAsync(1);
    expect(sockets.length).toBe(before + 1);
  }
});

test('a log that cannot be read ends its subscription, and one that may recover does not', async () => {
  client([{ container: 'c1' }, { container: 'c2' }]);
  sockets[0]?.onopen?.(undefined as never);
  sockets[0]?.receive({ type: 'error', id: 0, code: 501, message: 'cannot be read' });
  sockets[0]?.receive({ type: 'error', id: 1, code: 503, message: 'not now' });
  await vi.advanceTimersByTimeAsync(5000);
  expect(sockets[0]?.sent.slice(2).map(({ op, id }) => [op, id])).toEqual([['subscribe', 1]]);
});

test('what was wrong is over when the log is there again, on the same connection', async () => {
  client();
  sockets[0]?.onopen?.(undefined as never);
  const opened = statuses.filter((status) => status === 'open').length;
  sockets[0]?.receive({ type: 'error', id: 0, code: 503, message: 'not now' });
  await vi.advanceTimersByTimeAsync(5000);
  sockets[0]?.receive({ type: 'subscribed', id: 0 });
  expect(statuses.filter((status) => status === 'open').length).toBe(opened);
  for (let round = 0; round < 2; round += 1) {
    sockets[0]?.receive({ type: 'joined', id: 0, source: 1, container: 'c1', name: 'web', labels: {} });
    expect(statuses.filter((status) => status === 'open').length).toBe(opened + 1);
  }
});

test('an engine that is away is asked less and less often, although its containers join', async () => {
  client();
  const [socket] = sockets;
  socket?.onopen?.(undefined as never);
  const fail = (): void => {
    socket?.receive({ type: 'subscribed', id: 0 });
    socket?.receive(joined(0, 1, 'c1'));
    socket?.receive({ type: 'error', id: 0, code: 503, message: 'not now' });
  };
  const asksAfter = async (delay: number): Promise<void> => {
    const before = socket?.sent.length ?? 0;
    await vi.advanceTimersByTimeAsync(delay - 1);
    expect(socket?.sent.length).toBe(before);
    await vi.advanceTimersByTimeAsync(1);
    expect(socket?.sent.length).toBe(before + 1);
  };
  for (const delay of [100, 200, 400, 400]) {
    fail();
    await asksAfter(delay);
  }
  // What was read worked, and so did what lasted.
  socket?.receive(joined(0, 1, 'c1'));
  socket?.receive(batch(0, 1, 'one', ['a']));
  fail();
  await asksAfter(100);
  await vi.advanceTimersByTimeAsync(6000);
  fail();
  await asksAfter(100);
});
