// A log in the worker: the connection, the store, and the search over it. The page
// gets the lines that it shows, and nothing else.

import { errorMessage, socketProtocols, socketUrl } from '../api/daemonClient';
import { LogDownload } from './logDownload';
import { copyLines, exportLines } from './logExport';
import type { LogCut } from './logCuts';
import { EndTracker } from './logEnds';
import { cutText, endText, markerText, markerTime } from './logMarkers';
import { LineStore } from './lineStore';
import { lineViews } from './lineView';
import { MUX_PROTOCOL, MuxClient, type JoinedSource, type MuxClientOptions } from './muxClient';
import type { EntryBatch, MuxMessage } from './muxMessages';
import { pageScanner } from './pageScanner';
import { PatternMatcher } from './patternMatcher';
import type { LogUpdate, OpenRequest, SearchRequest, SourceView, ViewWindow, WorkerReply, WorkerRequest } from './workerMessages';

const PATH = '/passthrough/engine/logs';
// The page is told about new lines at most once in a frame.
const UPDATE_INTERVAL = 16;
// How long a search may take before other messages have their turn.
const SEARCH_SLICE = 30;
// An update that the page has not taken within this time no longer holds the log:
// it sleeps, and its browser may never tell.
const TAKEN_LIMIT = 10_000;

export class LogSession {
  readonly #open: OpenRequest;
  readonly #post: (reply: WorkerReply) => void;
  readonly #store = new LineStore();
  readonly #client: MuxClient;
  readonly #sources: SourceView[] = [];
  #haveSourcesChanged = true;
  #window: ViewWindow = { first: 'last', count: 100 };
  #isFolded = true;
  #isPaused = false;
  #isHeld = false;
  #isTaken = true;
  #sentAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #matcher: PatternMatcher | undefined;
  #search = 0;
  #isSearching = false;
  /** The time of the line that a link names, until it arrives. */
  #wanted: bigint | undefined;
  #download: LogDownload | undefined;
  readonly #ends = new EndTracker((sources, names, reason) => this.#mark({ sources, since: Date.now() }, endText(names, reason)));

  constructor(open: OpenRequest, post: (reply: WorkerReply) => void) {
    this.#open = open;
    this.#post = post;
    this.#wanted = open.place === undefined ? undefined : BigInt(open.place.time);
    let problem: { message: string; code: number } | undefined;
    this.#client = new MuxClient({
      ...this.#connection(),
      range: { tail: open.tail, ...open.range, follow: isOver(open.range.until) ? false : 'restart' },
      onEntries: (source, batch) => this.#onEntries(source, batch),
      onEvent: (source, event) => this.#onEvent(source, event),
      onResume: (cut) => this.#mark(cut, cutText(cut, Date.now())),
      onError: (message, code, isFinal) => {
        problem = { message, code };
        post({ type: 'status', status: isFinal ? 'closed' : 'reconnecting', message, code });
      },
      onStatus: (status) => {
        if (status === 'open') problem = undefined;
        if (status !== 'open') this.#sources.forEach((source) => (source.isLive = false));
        this.#haveSourcesChanged = true;
        post({ type: 'status', status, message: problem?.message, code: problem?.code });
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
      case 'find':
        this.#find(request.from, request.step);
        break;
      case 'filter': {
        this.#store.setFilter(request.filter);
        const { anchor } = request;
        this.#post({ type: 'filtered', position: anchor === undefined ? undefined : this.#store.positionOf(anchor) });
        this.#schedule(0);
        break;
      }
      case 'fold':
        this.#isFolded = request.isFolded;
        this.#schedule(0);
        break;
      case 'retry':
        this.#client.retry();
        break;
      case 'export':
        this.#post({ type: 'export', content: exportLines(this.#store, this.#sources) });
        break;
      case 'copy':
        this.#post({ type: 'copy', ...copyLines(this.#store) });
        break;
      case 'download':
        this.#beginDownload();
        break;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#ends.close();
    this.#search += 1;
    this.#download?.cancel();
    this.#client.close();
  }

  #connection(): Pick<MuxClientOptions, 'targets' | 'openSocket' | 'probe'> {
    const { targets, origin, token } = this.#open;
    return {
      targets,
      openSocket: () => new WebSocket(socketUrl(origin, PATH), socketProtocols(token, MUX_PROTOCOL)) as never,
      probe: async () => {
        try {
          const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
          const response = await fetch(`${origin}${PATH}`, { headers, cache: 'no-store' });
          return { status: response.status, message: await errorMessage(response) };
        } catch {
          return { status: 0, message: '' };
        }
      },
    };
  }

  #onEntries(source: JoinedSource, batch: EntryBatch): void {
    this.#ends.resume(source.index);
    const ids = this.#store.append(source.index, batch.entries);
    if (this.#wanted !== undefined && source.container === this.#open.place?.container) {
      const found = batch.entries.findIndex(({ time }) => time === this.#wanted);
      if (found >= 0) {
        this.#wanted = undefined;
        this.#post({ type: 'found', position: this.#store.positionOf(ids[found] ?? 0) });
      }
    }
    this.#bound();
    this.#schedule();
  }

  /** Drops the oldest lines, or makes the daemon wait while somebody reads them. */
  #bound(): void {
    const isStuck = !this.#isTaken && Date.now() - this.#sentAt < TAKEN_LIMIT;
    const isHeld = (this.#isPaused && this.#store.isFull) || (isStuck && this.#store.isFull);
    if (!this.#isPaused) this.#store.dropOldest();
    if (isHeld !== this.#isHeld) {
      this.#isHeld = isHeld;
      this.#client.hold(isHeld);
    }
  }

  #onEvent(source: JoinedSource, event: MuxMessage): void {
    const { container, name } = source;
    this.#sources[source.index] = { container, name, isLive: event.type !== 'left' && event.type !== 'stopped' };
    this.#haveSourcesChanged = true;
    if (event.type === 'left') this.#ends.end({ index: source.index, name, reason: event.reason });
    else if (event.type !== 'joined') this.#ends.resume(source.index);
    const text = markerText(name, event);
    if (text !== undefined) {
      this.#store.appendMarker(source.index, text, markerTime(event));
      this.#post({ type: 'marker', text });
    }
    this.#schedule();
  }

  /** Adds a remark about what happens now to several logs. */
  #mark(about: Pick<LogCut, 'sources' | 'since'>, text: string): void {
    this.#store.appendSharedMarker(about, text, BigInt(Date.now()) * 1_000_000n);
    this.#post({ type: 'marker', text });
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
      loaded: this.#store.total,
      dropped: this.#store.droppedLines,
      first,
      lines: lineViews(this.#store, first, count, { matcher: this.#matcher, isFolded: this.#isFolded }),
      sources: this.#haveSourcesChanged ? this.#sources.map((source) => ({ ...source })) : undefined,
      matchCount: this.#store.matchCount,
      isSearching: this.#isSearching,
      isHeld: this.#isHeld,
    };
    this.#haveSourcesChanged = false;
    this.#isTaken = false;
    this.#sentAt = Date.now();
    this.#post(update);
  }

  #find(from: number, step: 1 | -1): void {
    let found = this.#store.findMatch(from, step);
    // Goes on at the other end.
    if (found < 0) found = this.#store.findMatch(step > 0 ? 0 : this.#store.length - 1, step);
    this.#post({ type: 'found', position: found });
  }

  #beginSearch(search: SearchRequest | undefined): void {
    this.#search += 1;
    const id = this.#search;
    let matcher: PatternMatcher | undefined;
    this.#post({ type: 'searchError', message: undefined });
    if (search !== undefined && search.text !== '') {
      try {
        matcher = new PatternMatcher(search.text, search);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.#post({ type: 'searchError', message });
      }
    }
    const isInverted = search?.isInverted === true;
    // Lines that match since they lack something have nothing to mark.
    this.#matcher = isInverted ? undefined : matcher;
    const steps =
      matcher === undefined || search === undefined
        ? this.#store.search(undefined)
        : this.#store.search(
            (bytes, from, to) => matcher.matches(bytes, from, to) !== isInverted,
            pageScanner(matcher, search),
          );
    this.#isSearching = true;
    const run = (): void => {
      if (this.#search !== id) return;
      const until = performance.now() + SEARCH_SLICE;
      while (performance.now() < until) {
        if (steps.next().done === true) {
          this.#isSearching = false;
          this.#schedule(0);
          return;
        }
      }
      this.#schedule();
      afterMessages(run);
    };
    run();
  }

  #beginDownload(): void {
    if (this.#download !== undefined) return;
    const { since, until } = this.#open.range;
    this.#download = new LogDownload({
      ...this.#connection(),
      since,
      until,
      onProgress: (bytes) => this.#post({ type: 'downloading', bytes, error: undefined }),
      onEnd: (content, error) => {
        this.#download = undefined;
        this.#post({ type: 'downloading', bytes: 0, error: error ?? (content === undefined ? 'there is nothing to download' : undefined) });
        if (content !== undefined) this.#post({ type: 'export', content });
      },
    });
  }
}

/** Calls a function after the messages that are waiting. Browsers delay timers of timers. */
function afterMessages(call: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    call();
  };
  port2.postMessage(undefined);
}

/** Returns whether nothing is written before a time any more, so that a log ends there. */
function isOver(until: string | undefined): boolean {
  return Date.parse(until ?? '') <= Date.now();
}
