// A log in the worker: the connection, the store, and the search over it. The page
// gets the lines that it shows, and nothing else.

import { errorMessage } from '../api/daemonClient';
import { LineFlag, LineStore } from './lineStore';
import { lineViews } from './lineView';
import { MuxClient, muxProtocols, type JoinedSource } from './muxClient';
import type { EntryBatch, MuxMessage } from './muxMessages';
import { PatternMatcher } from './patternMatcher';
import type { LogUpdate, SearchRequest, SourceView, ViewWindow, WorkerReply, WorkerRequest } from './workerMessages';

// The page is told about new lines at most once in a frame.
const UPDATE_INTERVAL = 16;
// How long a search may take before other messages have their turn.
const SEARCH_SLICE = 30;
// An update that the page has not taken within this time no longer holds the log:
// it sleeps, and its browser may never tell.
const TAKEN_LIMIT = 10_000;

export class LogSession {
  readonly #post: (reply: WorkerReply) => void;
  readonly #store = new LineStore();
  readonly #client: MuxClient;
  readonly #sources: SourceView[] = [];
  #haveSourcesChanged = true;
  #window: ViewWindow = { first: 'last', count: 100 };
  #isPaused = false;
  #isHeld = false;
  #isTaken = true;
  #sentAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #matcher: PatternMatcher | undefined;
  #matchCount = 0;
  #search = 0;
  #isSearching = false;

  constructor(open: Extract<WorkerRequest, { type: 'open' }>, post: (reply: WorkerReply) => void) {
    this.#post = post;
    const path = '/passthrough/engine/logs';
    let message: string | undefined;
    this.#client = new MuxClient({
      targets: open.targets,
      tail: open.tail,
      openSocket: () => {
        const url = `${open.origin.replace(/^http/, 'ws')}${path}`;
        return new WebSocket(url, muxProtocols(open.token)) as never;
      },
      probe: async () => {
        try {
          const headers = { authorization: `Bearer ${open.token}`, accept: 'application/json' };
          const response = await fetch(`${open.origin}${path}`, { headers, cache: 'no-store' });
          return { status: response.status, message: await errorMessage(response) };
        } catch {
          return { status: 0, message: '' };
        }
      },
      onEntries: (source, batch) => this.#onEntries(source, batch),
      onEvent: (source, event) => this.#onEvent(source, event),
      onError: (text, isFinal) => {
        message = text;
        post({ type: 'status', status: isFinal ? 'closed' : 'reconnecting', message });
      },
      onStatus: (status) => {
        if (status === 'open') message = undefined;
        if (status !== 'open') this.#sources.forEach((source) => (source.isLive = false));
        this.#haveSourcesChanged = true;
        post({ type: 'status', status, message });
        this.#schedule();
      },
    });
  }

  handle(request: Exclude<WorkerRequest, { type: 'open' }>): void {
    switch (request.type) {
      case 'view':
        this.#window = { first: request.first, count: request.count };
        this.#isTaken = true;
        this.#schedule(0);
        break;
      case 'pause':
        this.#isPaused = request.isPaused;
        this.#bound();
        this.#schedule();
        break;
      case 'taken':
        this.#isTaken = true;
        this.#bound();
        break;
      case 'search':
        this.#beginSearch(request.search);
        break;
      case 'find': {
        const { from, step } = request;
        let found = this.#store.findMatch(from, step);
        // Goes on at the other end.
        if (found < 0) found = this.#store.findMatch(step > 0 ? 0 : this.#store.length - 1, step);
        this.#post({ type: 'found', position: found });
        break;
      }
      case 'retry':
        this.#client.retry();
        break;
      case 'export':
        this.#post({ type: 'export', content: this.#export() });
        break;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#search += 1;
    this.#client.close();
  }

  #onEntries(source: JoinedSource, batch: EntryBatch): void {
    const ids = this.#store.append(source.index, batch.entries);
    const matcher = this.#matcher;
    if (matcher !== undefined) {
      this.#matchCount += this.#store.test(ids, (...line) => matcher.matches(...line));
    }
    this.#bound();
    this.#schedule();
  }

  /** Drops the oldest lines, or makes the daemon wait while somebody reads them. */
  #bound(): void {
    const isStuck = !this.#isTaken && Date.now() - this.#sentAt < TAKEN_LIMIT;
    const isHeld = (this.#isPaused && this.#store.isFull) || (isStuck && this.#store.isFull);
    if (!this.#isPaused && this.#store.dropOldest() > 0 && this.#matcher !== undefined) {
      this.#matchCount = this.#store.countMatches();
    }
    if (isHeld !== this.#isHeld) {
      this.#isHeld = isHeld;
      this.#client.hold(isHeld);
    }
  }

  #onEvent(source: JoinedSource, event: MuxMessage): void {
    this.#sources[source.index] = { name: source.name, isLive: event.type !== 'left' && event.type !== 'stopped' };
    this.#haveSourcesChanged = true;
    const text = markerText(source.name, event);
    if (text !== undefined) {
      const time = 'time' in event && event.time !== null ? parseTime(event.time) : undefined;
      this.#store.appendMarker(source.index, text, time);
    }
    this.#schedule();
  }

  #schedule(delay = UPDATE_INTERVAL): void {
    if (delay === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#update();
    }, delay);
  }

  #update(): void {
    // The page is busy with the last one: tell it the newest state when it is not.
    if (!this.#isTaken && Date.now() - this.#sentAt < TAKEN_LIMIT) {
      this.#schedule();
      return;
    }
    const { first: wanted, count } = this.#window;
    const total = this.#store.length;
    const first = wanted === 'last' ? Math.max(0, total - count) : Math.max(0, wanted);
    const update: LogUpdate = {
      type: 'update',
      total,
      dropped: this.#store.droppedLines,
      first,
      lines: lineViews(this.#store, first, count, this.#matcher),
      sources: this.#haveSourcesChanged ? this.#sources.map((source) => ({ ...source })) : undefined,
      matchCount: this.#matchCount,
      isSearching: this.#isSearching,
      isHeld: this.#isHeld,
    };
    this.#haveSourcesChanged = false;
    this.#isTaken = false;
    this.#sentAt = Date.now();
    this.#post(update);
  }

  #beginSearch(search: SearchRequest | undefined): void {
    this.#search += 1;
    const id = this.#search;
    this.#matcher = undefined;
    this.#matchCount = 0;
    this.#isSearching = false;
    this.#store.clearMatches();
    this.#post({ type: 'searchError', message: undefined });
    if (search !== undefined && search.text !== '') {
      try {
        this.#matcher = new PatternMatcher(search.text, search);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.#post({ type: 'searchError', message });
      }
    }
    const matcher = this.#matcher;
    if (matcher !== undefined) {
      this.#isSearching = true;
      const steps = this.#store.testAll((...line) => matcher.matches(...line));
      const run = (): void => {
        if (this.#search !== id) return;
        const until = performance.now() + SEARCH_SLICE;
        while (performance.now() < until) {
          const step = steps.next();
          if (step.done === true) {
            this.#isSearching = false;
            // Lines that arrived meanwhile may have been counted by both.
            this.#matchCount = this.#store.countMatches();
            this.#schedule(0);
            return;
          }
          this.#matchCount += step.value;
        }
        this.#schedule();
        setTimeout(run, 0);
      };
      run();
    }
    this.#schedule(0);
  }

  #export(): Blob {
    const parts: BlobPart[] = [];
    const newline = new Uint8Array([10]);
    for (let position = 0; position < this.#store.length; position += 1) {
      const line = this.#store.at(position);
      if (line === undefined || (line.flags & LineFlag.marker) !== 0) continue;
      const time = new Date(Number(line.time / 1_000_000n)).toISOString();
      const name = this.#sources.length > 1 ? `${this.#sources[line.source]?.name ?? ''} ` : '';
      parts.push(`${time} ${name}`, line.bytes as Uint8Array<ArrayBuffer>, newline);
    }
    return new Blob(parts, { type: 'text/plain' });
  }
}

function parseTime(time: string): bigint {
  return BigInt(Date.parse(time)) * 1_000_000n;
}

function markerText(name: string, event: MuxMessage): string | undefined {
  switch (event.type) {
    case 'gap': {
      const reasons: Record<string, string> = {
        rotated: 'the engine removed them',
        replaced: 'the container was made anew',
        lagged: 'the engine was faster than the daemon',
      };
      const from = event.after === null ? '' : ` after ${event.after}`;
      return `${name}: lines are missing${from}: ${reasons[event.reason] ?? event.reason}`;
    }
    case 'stopped':
      return `${name} stopped${event.exitCode === null ? '' : ` with exit code ${event.exitCode}`}`;
    case 'started':
      return `${name} started`;
    case 'left':
      return `the log of ${name} ended: ${event.reason}`;
    default:
      return undefined;
  }
}

