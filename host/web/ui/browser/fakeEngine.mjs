// A Docker Engine API on a Unix socket, for tests of the page: containers that change
// their state, and logs to which a test writes. It runs no processes.

import { createServer } from 'node:http';

const API_VERSION = '1.41';

export class FakeEngine {
  /** @param {string} socket path of the Unix socket */
  constructor(socket) {
    this.socket = socket;
    /** @type {Map<string, any>} */
    this.containers = new Map();
    this.listeners = new Set();
    this.server = createServer((request, response) => this.#serve(request, response));
    // Idle connections stay open, as those of the engine do.
    this.server.keepAliveTimeout = 0;
  }

  async start() {
    await new Promise((resolve) => this.server.listen(this.socket, resolve));
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Adds a running container, and returns it. */
  add(name, { labels = {}, ports = {}, state = 'running', image = 'busybox:latest', createdAt = '2026-01-01T00:00:00Z' } = {}) {
    const id = `c0ffee${(this.containers.size + 1).toString(16).padStart(58, '0')}`;
    const container = { id, name, labels, ports, state, image, createdAt, exitCode: 0, log: [], readers: new Set() };
    this.containers.set(id, container);
    this.#emit('create', container);
    if (state === 'running') this.#emit('start', container);
    return container;
  }

  /** Appends lines to a log. A line is a text, or an object with `text`, `stderr`, and `time`. */
  write(container, lines) {
    for (const line of lines) {
      const now = BigInt(Date.now()) * 1_000_000n + BigInt(container.log.length % 1_000_000);
      const { text, stderr = false, time = now } = typeof line === 'string' ? { text: line } : line;
      const entry = { time, stderr, text };
      container.log.push(entry);
    }
    for (const wake of [...container.readers]) wake();
  }

  setState(container, state, action) {
    container.state = state;
    this.#emit(action, container);
    if (state === 'exited') for (const wake of [...container.readers]) wake();
  }

  #emit(action, container) {
    const attributes = { name: container.name, image: 'busybox:latest', exitCode: String(container.exitCode) };
    const now = Date.now();
    const event = {
      Type: 'container', Action: action, status: action, id: container.id,
      Actor: { ID: container.id, Attributes: attributes },
      time: Math.floor(now / 1000), timeNano: now * 1_000_000,
    };
    for (const send of this.listeners) send(event);
  }

  #find(key) {
    return this.containers.get(key) ?? [...this.containers.values()].find(({ name }) => name === key);
  }

  #serve(request, response) {
    const url = new URL(request.url, 'http://engine');
    const path = url.pathname.replace(/^\/v1\.\d+/, '');
    const json = (body, status = 200) => {
      const content = JSON.stringify(body);
      response.writeHead(status, { 'api-version': API_VERSION, 'content-type': 'application/json' });
      response.end(request.method === 'HEAD' ? undefined : content);
    };
    const fixed = {
      '/_ping': () => 'OK',
      '/version': () => ({ ApiVersion: API_VERSION, MinAPIVersion: '1.24', Version: '20.10.0' }),
      '/info': () => ({}),
      '/images/json': () => [],
      '/volumes': () => ({ Volumes: [] }),
      '/containers/json': () => [...this.containers.values()].map(summary),
    }[path];
    if (fixed !== undefined) return json(fixed());
    if (path === '/events') return this.#events(request, response);
    const [, root, key, verb] = path.split('/');
    const container = root === 'containers' ? this.#find(decodeURIComponent(key ?? '')) : undefined;
    if (container === undefined) return json({ message: `No such container: ${key}` }, 404);
    if (request.method === 'DELETE') {
      this.containers.delete(container.id);
      this.#emit('destroy', container);
      return json(undefined, 204);
    }
    switch (verb) {
      case 'json':
        return json(details(container));
      case 'logs':
        return this.#log(container, url.searchParams, request, response);
      case 'rename':
        container.name = url.searchParams.get('name');
        this.#emit('rename', container);
        return json(undefined, 204);
      case 'start': case 'unpause': case 'restart':
        this.setState(container, 'running', verb);
        return json(undefined, 204);
      case 'pause':
        this.setState(container, 'paused', verb);
        return json(undefined, 204);
      case 'stop':
        this.setState(container, 'exited', 'die');
        this.#emit('stop', container);
        return json(undefined, 204);
      default:
        return json({ message: `there is no ${path}` }, 404);
    }
  }

  #events(request, response) {
    response.writeHead(200, { 'api-version': API_VERSION, 'content-type': 'application/json' });
    response.flushHeaders();
    const send = (event) => response.write(`${JSON.stringify(event)}\n`);
    this.listeners.add(send);
    request.on('close', () => this.listeners.delete(send));
    response.on('close', () => this.listeners.delete(send));
  }

  async #log(container, query, request, response) {
    response.writeHead(200, { 'api-version': API_VERSION });
    response.flushHeaders();
    let isGone = false;
    response.on('close', () => (isGone = true));
    let at = firstEntry(container.log, query);
    const until = timeOf(query.get('until'));
    for (;;) {
      let batch = container.log.slice(at, at + 2000);
      at += batch.length;
      if (until !== undefined) batch = batch.filter(({ time }) => time < until);
      if (isGone) return;
      if (batch.length > 0) {
        if (!response.write(Buffer.concat(batch.map(frame)))) {
          await new Promise((resolve) => {
            const wake = () => {
              response.off('drain', wake).off('close', wake);
              resolve();
            };
            response.on('drain', wake).on('close', wake);
          });
        }
        continue;
      }
      if (query.get('follow') !== '1' || until !== undefined || container.state === 'exited') break;
      await new Promise((resolve) => {
        const wake = () => {
          container.readers.delete(wake);
          response.off('close', wake);
          resolve();
        };
        container.readers.add(wake);
        response.once('close', wake);
      });
    }
    response.end();
  }
}

/** Returns a time of the API, in seconds with a fraction, in nanoseconds. */
function timeOf(text) {
  if (text === null || text === '' || text === '0') return undefined;
  const [seconds, rest = ''] = text.split('.');
  return BigInt(seconds) * 1_000_000_000n + BigInt(rest.padEnd(9, '0'));
}

function firstEntry(log, query) {
  let first = 0;
  const oldest = timeOf(query.get('since'));
  if (oldest !== undefined) {
    first = log.findIndex(({ time }) => time >= oldest);
    if (first < 0) first = log.length;
  }
  const tail = query.get('tail');
  return tail === null || tail === 'all' ? first : Math.max(first, log.length - Number(tail));
}

/** Returns an entry with its time, in a frame of the engine's stream. */
function frame({ time, stderr, text }) {
  const millis = Number(time / 1_000_000n);
  const stamp = `${new Date(millis).toISOString().slice(0, 19)}.${String(time % 1_000_000_000n).padStart(9, '0')}Z`;
  const content = Buffer.from(`${stamp} ${text}\n`);
  const head = Buffer.alloc(8);
  head[0] = stderr ? 2 : 1;
  head.writeUInt32BE(content.length, 4);
  return Buffer.concat([head, content]);
}

function summary({ id, name, labels, state, image }) {
  return { Id: id, Names: [`/${name}`], Image: image, ImageID: 'sha256:0', State: state, Labels: labels };
}

function details({ id, name, labels, state, ports, image, createdAt, exitCode }) {
  const isRunning = state === 'running' || state === 'paused';
  return {
    Id: id,
    Name: `/${name}`,
    Created: createdAt,
    Image: 'sha256:0',
    State: {
      Status: state, Running: isRunning, Paused: state === 'paused', Pid: isRunning ? 1 : 0,
      ExitCode: exitCode, StartedAt: '2026-01-01T00:00:00Z',
    },
    Config: { Tty: false, Image: image, Labels: labels },
    HostConfig: { LogConfig: { Type: 'json-file' } },
    NetworkSettings: { Ports: ports },
  };
}
