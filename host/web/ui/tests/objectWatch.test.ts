import { expect, test } from 'vitest';
import { BackoffTimer } from '../src/backoff';
import { RequestError } from '../src/api/daemonClient';
import { ObjectWatch, type WatchStatus } from '../src/api/objectWatch';
import type { KubeObject } from '../src/api/objects';

type Step = (path: string) => Response | Error | Promise<Response>;

const object = (name: string, resourceVersion: string): KubeObject => ({ metadata: { name, resourceVersion } });
const list = (version: string, names: string[], next?: string): Step => () =>
  Response.json({ metadata: { resourceVersion: version, continue: next }, items: names.map((name) => object(name, '1')) });
const watch = (...events: unknown[]): Step => () =>
  new Response(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
const fail = (status: number): Step => () => new RequestError(status, `status ${status}`);

/** Runs the steps of a server, and returns what was requested and reported. */
async function run(steps: Step[]) {
  const paths: string[] = [];
  const reported: unknown[] = [];
  const statuses: WatchStatus[] = [];
  await new Promise<void>((resolve) => {
    const observed = new ObjectWatch<KubeObject>({
      client: {
        async request(path) {
          paths.push(path);
          const step = steps.shift();
          if (step === undefined) {
            observed.stop();
            resolve();
            throw new Error('the end');
          }
          const result = await step(path);
          if (result instanceof Error) throw result;
          return result;
        },
      },
      path: '/objects',
      onList: (objects) => reported.push(objects.map(({ metadata }) => metadata.name)),
      onEvents: (events) => reported.push(...events.map(({ type, object: { metadata } }) => `${type} ${metadata.name}`)),
      onStatus: (status) => statuses.push(status),
      backoff: new BackoffTimer(1, 1),
      sleep: () => Promise.resolve(),
    });
    observed.start();
  });
  return { paths, reported, statuses };
}

const versions = (paths: string[]): (string | null)[] =>
  paths.map((path) => new URLSearchParams(path.split('?')[1]).get('resourceVersion'));

test('a list of several pages is followed by a watch of its version', async () => {
  const { paths, reported } = await run([
    list('', ['a'], 'next'), list('7', ['b']), watch({ type: 'ADDED', object: object('c', '8') }),
  ]);
  expect(paths[1]).toContain('continue=next');
  expect(versions(paths)).toEqual([null, null, '7', '8']);
  expect(reported).toEqual([['a', 'b'], 'ADDED c']);
});

test('a watch goes on at the last bookmark', async () => {
  const { paths, reported } = await run([
    list('7', []), watch({ type: 'MODIFIED', object: object('a', '8') }, { type: 'BOOKMARK', object: object('', '20') }),
  ]);
  expect(versions(paths)).toEqual([null, '7', '20']);
  expect(reported).toEqual([[], 'MODIFIED a']);
});

test('objects are listed again when their version is too old', async () => {
  const { paths } = await run([
    list('7', []), watch({ type: 'ERROR', object: { code: 410 } }), list('9', []), fail(410), list('11', []),
  ]);
  expect(versions(paths)).toEqual([null, '7', null, '9', null, '11']);
});

test('a failed request is repeated at the same version', async () => {
  const { paths, statuses } = await run([list('7', []), fail(503), fail(500), watch()]);
  expect(versions(paths)).toEqual([null, '7', '7', '7', '7']);
  expect(statuses).toContain('reconnecting');
});

test('a daemon that does not answer is gone after a while', async () => {
  const down: Step = () => new TypeError('failed to fetch');
  const { statuses } = await run([list('7', []), down, down, down, down, down]);
  expect(statuses.slice(0, 4)).toEqual(['listing', 'reconnecting', 'reconnecting', 'reconnecting']);
  expect(statuses.at(-1)).toBe('gone');
});

test('an event in two pieces of the stream is read once', async () => {
  const text = `${JSON.stringify({ type: 'ADDED', object: object('ä', '8') })}\n`;
  const bytes = new TextEncoder().encode(text);
  const split = bytes.indexOf(0xc3) + 1;
  const stream: Step = () =>
    new Response(new ReadableStream({
      start(controller) {
        controller.enqueue(bytes.slice(0, split));
        controller.enqueue(bytes.slice(split));
        controller.close();
      },
    }));
  const { reported } = await run([list('7', []), stream]);
  expect(reported).toEqual([[], 'ADDED ä']);
});
