// Lists objects of one kind and watches them, as clients of Kubernetes do: a watch
// goes on at the last version that it saw, also that of a bookmark; when the server
// no longer has that version (410), the objects are listed again.

import { BackoffTimer } from '../backoff';
import { RequestError, type DaemonClient } from './daemonClient';
import type { KubeObject } from './objects';

const PAGE_SIZE = 500;
// The server ends a watch after this time, and the next one goes on.
const WATCH_SECONDS = 300;

export type WatchStatus = 'listing' | 'live' | 'reconnecting' | 'gone' | 'failed';

export interface ObjectWatchOptions<T extends KubeObject> {
  client: DaemonClient;
  path: string;
  /** Replaces all objects. */
  onList(objects: T[]): void;
  /** Changes some of them. */
  onEvents(events: ObjectEvent<T>[]): void;
  onStatus(status: WatchStatus, message: string | undefined): void;
  backoff?: BackoffTimer;
  sleep?: (millis: number, signal: AbortSignal) => Promise<void>;
}

export interface ObjectEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: T;
}

interface ListMessage<T> {
  metadata: { resourceVersion: string; continue?: string };
  items: T[];
}

type WatchMessage<T> =
  | ObjectEvent<T>
  | { type: 'BOOKMARK'; object: T }
  | { type: 'ERROR'; object: { code?: number; message?: string } };

class ExpiredError extends Error {}

export class ObjectWatch<T extends KubeObject> {
  readonly #options: ObjectWatchOptions<T>;
  readonly #backoff: BackoffTimer;
  #version: string | undefined;
  #running: AbortController | undefined;

  constructor(options: ObjectWatchOptions<T>) {
    this.#options = options;
    this.#backoff = options.backoff ?? new BackoffTimer();
  }

  /** Starts, or goes on at the last version after `stop`. */
  start(): void {
    if (this.#running !== undefined) return;
    this.#running = new AbortController();
    void this.#run(this.#running.signal);
  }

  stop(): void {
    this.#running?.abort();
    this.#running = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const sleep = this.#options.sleep ?? wait;
    while (!signal.aborted) {
      try {
        this.#version ??= await this.#list(signal);
        await this.#watch(this.#version, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ExpiredError) {
          this.#version = undefined;
          continue;
        }
        const status = error instanceof RequestError ? error.status : 0;
        if (status === 401) return;
        if (status === 410) this.#version = undefined;
        const message = error instanceof Error && status !== 0 ? error.message : undefined;
        const isFinal = status === 403 || status === 404;
        const isGone = status === 0 && this.#backoff.failures >= 3;
        const state = isFinal ? 'failed' : isGone ? 'gone' : 'reconnecting';
        this.#options.onStatus(state, message);
        await sleep(this.#backoff.next(), signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    this.#options.onStatus('listing', undefined);
    const objects: T[] = [];
    let next = '';
    for (;;) {
      const query = new URLSearchParams({ limit: String(PAGE_SIZE) });
      if (next !== '') query.set('continue', next);
      const response = await this.#options.client.request(`${this.#options.path}?${query}`, { signal });
      const list = (await response.json()) as ListMessage<T>;
      objects.push(...list.items);
      next = list.metadata.continue ?? '';
      if (next === '') {
        this.#options.onList(objects);
        return list.metadata.resourceVersion;
      }
    }
  }

  async #watch(version: string, signal: AbortSignal): Promise<void> {
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: version,
      timeoutSeconds: String(WATCH_SECONDS),
    });
    const began = Date.now();
    const response = await this.#options.client.request(`${this.#options.path}?${query}`, { signal });
    this.#options.onStatus('live', undefined);
    if (response.body === null) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split('\n');
      rest = lines.pop() ?? '';
      this.#take(lines.filter((line) => line !== '').map((line) => JSON.parse(line) as WatchMessage<T>));
      this.#backoff.resetIfSteady(began);
    }
    // A watch that ends at once, again and again, must not spin.
    if (!this.#backoff.resetIfSteady(began)) await (this.#options.sleep ?? wait)(this.#backoff.next(), signal);
  }

  #take(messages: WatchMessage<T>[]): void {
    const events: ObjectEvent<T>[] = [];
    for (const message of messages) {
      if (message.type === 'ERROR') {
        if (events.length > 0) this.#options.onEvents(events);
        if (message.object.code === 410) throw new ExpiredError();
        throw new RequestError(message.object.code ?? 500, message.object.message ?? 'the watch failed');
      }
      this.#version = message.object.metadata.resourceVersion ?? this.#version;
      if (message.type !== 'BOOKMARK') events.push(message);
    }
    if (events.length > 0) this.#options.onEvents(events);
  }
}

function wait(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, millis);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
