import { expect, test } from 'vitest';
import type { Container, ImageObject } from '../src/api/objects';
import { groupContainers } from '../src/containerStore';
import { formatAge, formatBytes, formatTime } from '../src/format';
import { filterObjects, imageName } from '../src/imageStore';
import { splitMatches } from '../src/log/logRow';
import { contentHeight, placeAt, scrollTopOf, windowAt } from '../src/log/scrollModel';
import { takeCode } from '../src/session';
import { appNotice } from '../src/views/Notices';

function container(name: string, project = '', status = 'running'): [string, Container] {
  const labels = project === '' ? {} : { 'com.docker.compose.project': project };
  return [`ns/${name}`, { metadata: { name: `id-${name}` }, status: { name, status, labels, imageName: 'busybox' } }];
}

test('containers are grouped by project, and those of none come last', () => {
  const all = new Map([container('z'), container('web', 'shop'), container('db', 'shop'), container('a', 'blog')]);
  const shape = (filter: string): unknown =>
    groupContainers(all, filter).map(({ project, containers }) => [project, containers.map(({ status }) => status?.name)]);
  expect(shape('')).toEqual([['blog', ['a']], ['shop', ['db', 'web']], ['', ['z']]]);
  expect(shape('SHOP we')).toEqual([['shop', ['web']]]);
});

test('a code is taken from the fragment and leaves no trace in the address', () => {
  let replaced = '';
  const history = { replaceState: (_: unknown, __: string, url: string) => (replaced = url) } as unknown as History;
  const location = { hash: '#code=aB-_9', pathname: '/ui/', search: '' } as Location;
  expect(takeCode(location, history)).toBe('aB-_9');
  expect(replaced).toBe('/ui/#/');
  expect(takeCode({ ...location, hash: '#/logs?x' }, history)).toBeUndefined();
});

test('the first line is at the top, the last one at the bottom, and rows scroll by their height', () => {
  const [total, viewport] = [1000, 500];
  const way = contentHeight(total, viewport) - viewport;
  expect(placeAt(0, total, viewport)).toEqual({ line: 0, y: 0 });
  expect(placeAt(way, total, viewport)).toEqual({ line: total, y: viewport });
  const top = (scrollTop: number): number => {
    const { line, y } = placeAt(scrollTop, total, viewport);
    return line - y / 20;
  };
  expect(top(4000)).toBeCloseTo(200);
  expect(scrollTopOf(200, total, viewport)).toBeCloseTo(4000);
  expect(contentHeight(3_000_000, viewport)).toBeLessThan(17_000_000);
  const { first, count } = windowAt(placeAt(way, total, viewport), viewport);
  expect(first + count).toBeGreaterThanOrEqual(total);
});

test('matches split the text of spans where they are', () => {
  expect(splitMatches('hello', 0, [1, 3])).toEqual([['h', false], ['el', true], ['lo', false]]);
  expect(splitMatches('world', 5, [3, 7])).toEqual([['wo', true], ['rld', false]]);
  expect(splitMatches('x', 0, [])).toEqual([['x', false]]);
});

test('an engine that is not there is explained', () => {
  const app = (reason: string, status = 'False') => ({
    metadata: { name: 'app' },
    spec: { running: true },
    status: { conditions: [{ type: 'ContainerEngineReady', status, reason, message: 'no socket' }] },
  });
  expect(appNotice(app('Connected', 'True'))).toBeUndefined();
  expect(appNotice(app('ConnectFailed'))?.title).toContain('cannot be reached');
  expect(appNotice(app('BackendNotInstalled'))?.commands).toContain('rdd plugin list');
  expect(appNotice(app('BackendNotInstalled', 'False'))?.title).toContain('cannot be used');
  expect(appNotice({ ...app('Stopped'), spec: { running: false } })?.title).toContain('switched off');
});

test('a backend on which the daemon gave up is told apart from one that is missing', () => {
  const app = (message: string) => ({
    metadata: { name: 'app' },
    spec: { running: true },
    status: { conditions: [{ type: 'ContainerEngineReady', status: 'False', reason: 'BackendNotInstalled', message }] },
  });
  const parked = 'it failed 5 times in a row (last error: it trapped); restart the daemon or install another version';
  expect(appNotice(app(parked))).toMatchObject({ title: expect.stringContaining('failed too often'), detail: parked });
  expect(appNotice(app('there is no plugin "x"'))?.title).toContain('cannot be used');
});

test('images and volumes are found by name, also those without a tag', () => {
  const image = (repoTag: string | undefined, id: string): ImageObject => ({
    metadata: { name: id }, status: { id, ...(repoTag === undefined ? {} : { repoTag }) },
  });
  const all = [image('nginx:1', 'sha256:bb'), image(undefined, `sha256:${'c'.repeat(64)}`), image('busybox', 'sha256:aa')];
  const names = (filter: string): string[] => filterObjects(all, filter, imageName, ({ status }) => status?.id ?? '').map(imageName);
  expect(names('')).toEqual(['<none> cccccccccccc', 'busybox', 'nginx:1']);
  expect(names('NGI bb')).toEqual(['nginx:1']);
  expect([formatBytes(0), formatBytes(999), formatBytes(1_984_000), formatBytes(5e15)]).toEqual(['0 B', '999 B', '1.98 MB', '5000 TB']);
});

test('ages are as in kubectl, and times have milliseconds', () => {
  const now = Date.parse('2026-01-02T00:00:00Z');
  expect(formatAge('2026-01-01T23:59:30Z', now)).toBe('30s');
  expect(formatAge('2026-01-01T00:00:00Z', now)).toBe('24h');
  expect(formatAge('2025-12-01T00:00:00Z', now)).toBe('32d');
  expect(formatTime(now + 7, 'utc', now)).toBe('00:00:00.007Z');
});
