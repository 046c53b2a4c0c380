import { expect, test } from 'vitest';
import { subscribeRange } from '../src/log/logState';
import { logsHash, parseRoute, shellHash } from '../src/route';

test('a link to logs has their range and a line, and is read as it was written', () => {
  const place = { container: 'c1', time: '1767225600000000001' };
  const hash = logsHash([{ container: 'c1' }, { project: 'a&b' }], { since: '15m', until: '2026-01-01T00:00:00Z' }, place);
  expect(parseRoute(hash)).toEqual({
    view: 'logs',
    targets: [{ container: 'c1' }, { project: 'a&b' }],
    range: { since: '15m', until: '2026-01-01T00:00:00Z' },
    place,
  });
  expect(parseRoute(shellHash('c/1'))).toEqual({ view: 'shell', container: 'c/1' });
});

test('what a link should not have is left out', () => {
  expect(parseRoute('#/logs?container=a&since=%22%7D&line=a@b')).toEqual({
    view: 'logs', targets: [{ container: 'a' }], range: {}, place: undefined,
  });
  for (const hash of ['', '#', '#/', '#/logs', '#/nowhere', '#/shell']) expect(parseRoute(hash)).toEqual({ view: 'containers' });
  expect(parseRoute('#/images')).toEqual({ view: 'images' });
});

test('a line that a link names is read with what came before it', () => {
  expect(subscribeRange({}, undefined)).toEqual({ tail: 10_000 });
  expect(subscribeRange({ since: '1h' }, undefined)).toEqual({ tail: 'all', since: '1h' });
  expect(subscribeRange({}, { container: 'c', time: '1767225600123456789' })).toEqual({ tail: 'all', since: '1767225540' });
  expect(subscribeRange({}, { container: 'c', time: '5' })).toEqual({ tail: 'all' });
});
