// The connection of `rdd.logs-mux.v1`: it subscribes, gives credit for what was
// taken, and after a cut goes on at the cursor of each log.

import { BackoffTimer } from '../backoff';
import { CutTracker, type CutCause, type LogCut } from './logCuts';
import {
  readBatch,
  subscribeMessages,
  type EntryBatch,
  type LogTarget,
  type MuxMessage,
  type SubscribeRange,
} from './muxMessages';

export const MUX_PROTOCOL = 'rdd.logs-mux.v1';
// Enough for a few messages on their way; a page that stalls holds no more.
const CREDIT = 1024 * 1024;
// The longest delay until a log is tried again on a connection that works: the engine
// may be back at any time.
const ENGINE_RETRY_MILLIS = 5000;
// Credit is returned in steps, not for each message.
const CREDIT_STEP = CREDIT / 4;

export type ConnectionStatus = 'connecting' | 'open' | 'reconnecting' | 'signedOut' | 'closed';

export interface JoinedSource {
  /** A number that stays the same over reconnections. */
  index: number;
  container: string;
  name: string;
  labels: Record<string, string>;
  /** The ID of the subscription that has it. */
  subscription: number;
}

/** The parts of a WebSocket that are used, so that tests can have another one. */
export interface SocketLike {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: string): void;
  close(code?: number): void;
}

/** The answer to a plain request; the status is 0 if there was none. */
export interface ProbeResult {
  status: number;
  message: string;
}

export interface MuxClientOptions {
  targets: readonly LogTarget[];
  range: SubscribeRange;
  openSocket(): SocketLike;
  /** Asks why a socket could not be opened, with a plain request. */
  probe(): Promise<ProbeResult>;
  onEntries(source: JoinedSource, batch: EntryBatch): void;
  onEvent(source: JoinedSource, message: MuxMessage): void;
  /** The logs go on after a cut. What comes next is what follows it. */
  onResume(cut: LogCut): void;
  /** `code` is an HTTP status. */
  onError(message: string, code: number, isFinal: boolean): void;
  onStatus(status: ConnectionStatus): void;
  /** Of connections. */
  backoff?: BackoffTimer;
  /** Of subscriptions that the engine cannot serve. */
  engineBackoff?: BackoffTimer;
}

interface SubscriptionState {
  target: LogTarget;
  isEnded: boolean;
  /** Whether its last attempt failed, so that there is another one. */
  isFailing: boolean;
  /** When it was last sent. */
  sentAt: number;
  cursors: Map<string, string>;
  /** Bytes that were taken and for which credit was not returned yet. */
  taken: number;
}

export class MuxClient {
  readonly #options: MuxClientOptions;
  readonly #backoff: BackoffTimer;
  readonly #engineBackoff: BackoffTimer;
  readonly #subscriptions: SubscriptionState[];
  /** Sources by container, over all connections. */
  readonly #sources = new Map<string, JoinedSource>();
  readonly #cuts = new CutTracker();
  /** The sources of the current connection by their numbers. */
  #bySource = new Map<number, JoinedSource>();
  #socket: SocketLike | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isHeld = false;
  #isClosed = false;

  constructor(options: MuxClientOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? new BackoffTimer();
    this.#engineBackoff = options.engineBackoff ?? new BackoffTimer(500, ENGINE_RETRY_MILLIS);
    this.#subscriptions = options.targets.map((target) => ({
      target,
      isEnded: false,
      isFailing: false,
      sentAt: 0,
      cursors: new Map(),
      taken: 0,
    }));
    this.#connect();
  }

  /** While it is held, no credit is returned: the daemon waits at the cursor. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (!isHeld) this.#subscriptions.forEach((_, id) => this.#returnCredit(id, 1));
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
    this.#options.onStatus('closed');
  }

  /** Connects now instead of at the end of the delay. */
  retry(): void {
    if (this.#isClosed || this.#socket !== undefined) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  #connect(): void {
    this.#options.onStatus(this.#backoff.failures === 0 ? 'connecting' : 'reconnecting');
    const socket = this.#options.openSocket();
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      this.#options.onStatus('open');
      this.#subscriptions.forEach((subscription) => (subscription.isFailing = false));
      this.#subscriptions.forEach((subscription, id) => this.#subscribe(subscription, id));
    };
    socket.onmessage = ({ data }) => {
      // What arrives shows that the connection works, unlike its opening alone.
      this.#backoff.reset();
      if (data instanceof ArrayBuffer) this.#onBatch(readBatch(data));
      else this.#onMessage(JSON.parse(String(data)) as MuxMessage);
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      for (const number of [...this.#bySource.keys()]) this.#lose(number, 'connection');
      if (!this.#isClosed) void this.#onClose(wasOpen);
    };
  }

  async #onClose(wasOpen: boolean): Promise<void> {
    if (this.#subscriptions.every((subscription) => subscription.isEnded)) {
      this.#isClosed = true;
      this.#options.onStatus('closed');
      return;
    }
    this.#options.onStatus('reconnecting');
    // Browsers hide the status of a WebSocket that was refused.
    const probe = wasOpen ? undefined : await this.#options.probe();
    if (this.#isClosed) return;
    if (probe?.status === 401) {
      this.#isClosed = true;
      this.#options.onStatus('signedOut');
      return;
    }
    if (probe !== undefined && probe.status >= 500) {
      const isFinal = probe.status === 501;
      this.#options.onError(probe.message, probe.status, isFinal);
      if (isFinal) {
        this.#isClosed = true;
        this.#options.onStatus('closed');
        return;
      }
    }
    this.#timer = setTimeout(() => this.#connect(), this.#backoff.next());
  }

  #subscribe(subscription: SubscriptionState, id: number): void {
    if (subscription.isEnded) return;
    subscription.taken = 0;
    subscription.sentAt = Date.now();
    const { target, cursors } = subscription;
    const { range } = this.#options;
    const credit = this.#isHeld ? 0 : CREDIT;
    if (this.#isHeld) subscription.taken = CREDIT;
    const messages = subscribeMessages({ id, target, range, credit, cursors });
    for (const message of messages) this.#socket?.send(message);
  }

  #onBatch(batch: EntryBatch): void {
    const subscription = this.#subscriptions[batch.id];
    const source = this.#bySource.get(batch.source);
    if (subscription === undefined || source === undefined) return;
    // The log was read, unlike that of a source that has only joined.
    this.#engineBackoff.reset();
    this.#resume(source);
    this.#options.onEntries(source, batch);
    subscription.cursors.set(source.container, batch.cursor);
    subscription.taken += batch.cost;
    this.#returnCredit(batch.id, CREDIT_STEP);
  }

  #returnCredit(id: number, least: number): void {
    const subscription = this.#subscriptions[id];
    if (subscription === undefined || this.#isHeld || subscription.taken < least) return;
    this.#socket?.send(JSON.stringify({ op: 'credit', id, bytes: subscription.taken }));
    subscription.taken = 0;
  }

  #onMessage(message: MuxMessage): void {
    switch (message.type) {
      case 'subscribed':
        break;
      case 'joined': {
        const { container, name, labels } = message;
        const index = this.#sources.get(container)?.index ?? this.#sources.size;
        const source = { index, container, name, labels, subscription: message.id };
        this.#sources.set(container, source);
        this.#bySource.set(message.source, source);
        this.#onSuccess(this.#subscriptions[message.id]);
        this.#options.onEvent(source, message);
        break;
      }
      case 'left': {
        const source = this.#bySource.get(message.source);
        if (source === undefined) break;
        this.#options.onEvent(source, message);
        // If it joins again, the engine was lost: a stop leaves it here.
        this.#lose(message.source, 'engine');
        break;
      }
      case 'gap':
      case 'stopped':
      case 'started': {
        const source = this.#bySource.get(message.source);
        if (source === undefined) break;
        this.#resume(source);
        this.#options.onEvent(source, message);
        break;
      }
      case 'error': {
        const subscription = this.#subscriptions[message.id ?? -1];
        // The subscription that has the number goes on.
        if (message.code === 409) break;
        for (const [number, source] of [...this.#bySource]) {
          if (source.subscription === message.id) this.#lose(number, 'engine');
        }
        const canRetry = message.code === 429 || message.code === 502 || message.code === 503;
        this.#options.onError(message.message, message.code, !canRetry);
        if (subscription !== undefined) this.#end(subscription, canRetry);
        break;
      }
      case 'end': {
        const subscription = this.#subscriptions[message.id];
        if (subscription !== undefined) this.#end(subscription, false);
        break;
      }
    }
  }

  /** A number has no source any more. */
  #lose(number: number, cause: CutCause): void {
    const source = this.#bySource.get(number);
    this.#bySource.delete(number);
    if (source !== undefined) this.#cuts.lose(source.index, cause);
  }

  /** Only what arrives shows that a log goes on: it joins before it is opened. */
  #resume(source: JoinedSource): void {
    const cut = this.#cuts.resume(source.index);
    if (cut !== undefined) this.#options.onResume(cut);
  }

  /** A log is there that was not: what was wrong before is over. */
  #onSuccess(subscription: SubscriptionState | undefined): void {
    if (subscription?.isFailing !== true) return;
    subscription.isFailing = false;
    if (!this.#subscriptions.some(({ isFailing }) => isFailing)) this.#options.onStatus('open');
  }

  #end(subscription: SubscriptionState, canRetry: boolean): void {
    subscription.isEnded = !canRetry;
    subscription.isFailing = canRetry;
    if (canRetry) {
      const id = this.#subscriptions.indexOf(subscription);
      const socket = this.#socket;
      this.#engineBackoff.resetIfSteady(subscription.sentAt);
      setTimeout(() => {
        // A new connection has subscribed to everything.
        if (this.#socket === socket) this.#subscribe(subscription, id);
      }, this.#engineBackoff.next());
    } else if (this.#subscriptions.every(({ isEnded }) => isEnded)) {
      this.#socket?.close(1000);
    }
  }
}
