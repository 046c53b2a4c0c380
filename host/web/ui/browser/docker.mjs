// A client of a real engine, for tests that need one.

import { request } from 'node:http';

const HOST = process.env.RDD_TEST_DOCKER_HOST ?? '';

/** Whether there is a real engine, on a Unix socket. */
export const hasDocker = HOST.startsWith('unix://');
export const dockerHost = HOST;

/** Sends a request to the engine, and returns what it answers. */
export function docker(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const call = request({ socketPath: HOST.slice('unix://'.length), method, path, headers }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => {
        const text = Buffer.concat(parts).toString();
        if (response.statusCode >= 400) reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
        else resolve(text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text);
      });
    });
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Starts a container with a shell script, and returns its ID. `host` adds to its HostConfig. */
export async function run(name, script, { labels = {}, log = 'json-file', host = {} } = {}) {
  const { Id } = await docker('POST', `/containers/create?name=${name}`, {
    Image: 'rdd-test',
    Entrypoint: ['/bin/sh', '-c', script],
    Labels: labels,
    HostConfig: { LogConfig: { Type: log }, Init: true, ...host },
    StopSignal: 'SIGKILL',
  });
  await docker('POST', `/containers/${Id}/start`);
  return Id;
}

export async function remove(...names) {
  for (const name of names) await docker('DELETE', `/containers/${name}?force=true&v=true`).catch(() => undefined);
}
