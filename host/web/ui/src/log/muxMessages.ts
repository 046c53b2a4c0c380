// The messages of `rdd.logs-mux.v1`, which docs/passthrough.md describes.

/** An entry of a log: a line, or a part of one. */
export interface LogEntry {
  /** Nanoseconds since 1970. */
  time: bigint;
  isStderr: boolean;
  isPartial: boolean;
  bytes: Uint8Array;
}

export interface EntryBatch {
  id: number;
  source: number;
  cursor: string;
  entries: LogEntry[];
  /** What the entries cost of the credit. */
  cost: number;
}

/** A text message of the daemon. */
export type MuxMessage =
  | { type: 'subscribed' | 'end'; id: number }
  | {
      type: 'joined';
      id: number;
      source: number;
      container: string;
      name: string;
      labels: Record<string, string>;
    }
  | { type: 'left'; id: number; source: number; reason: string }
  | {
      type: 'gap';
      id: number;
      source: number;
      after: string | null;
      before: string | null;
      reason: string;
    }
  | { type: 'stopped'; id: number; source: number; time: string | null; exitCode: number | null }
  | { type: 'started'; id: number; source: number; time: string | null }
  | { type: 'error'; id: number | null; code: number; message: string };

const decoder = new TextDecoder();

/** Reads a binary message. The bytes of the entries are views of it. */
export function readBatch(message: ArrayBuffer): EntryBatch {
  const view = new DataView(message);
  const id = view.getUint32(0);
  const source = view.getUint32(4);
  let at = 9 + view.getUint8(8);
  const cursor = decoder.decode(new Uint8Array(message, 9, at - 9));
  const entries: LogEntry[] = [];
  let cost = 0;
  while (at < message.byteLength) {
    const flags = view.getUint8(at + 8);
    const length = view.getUint32(at + 9);
    entries.push({
      time: view.getBigInt64(at),
      isStderr: (flags & 1) !== 0,
      isPartial: (flags & 2) !== 0,
      bytes: new Uint8Array(message, at + 13, length),
    });
    cost += Math.max(1, length);
    at += 13 + length;
  }
  return { id, source, cursor, entries, cost };
}

/** What a subscription is for. */
export type LogTarget = { container: string } | { project: string } | { selector: string };

/** Which part of the logs is read, in the words of the daemon. */
export interface SubscribeRange {
  tail: number | 'all';
  since?: string | undefined;
  until?: string | undefined;
  follow: false | 'restart';
}

export interface SubscribeOptions {
  id: number;
  target: LogTarget;
  range: SubscribeRange;
  credit: number;
  /** The position in each container's log at which to go on. */
  cursors: ReadonlyMap<string, string>;
}

// The daemon accepts 4 KiB; an ID and a cursor have at most 255 bytes each.
const MAX_CURSORS_BYTES = 3000;

/** Returns the messages that subscribe: long lists of cursors have messages of their own. */
export function subscribeMessages(options: SubscribeOptions): string[] {
  const { id, target, range, credit, cursors } = options;
  const { tail, since, until, follow } = range;
  const messages: string[] = [];
  let part: Record<string, string> = {};
  let size = 0;
  for (const [container, cursor] of cursors) {
    if (size + container.length + cursor.length + 8 > MAX_CURSORS_BYTES) {
      messages.push(JSON.stringify({ op: 'cursors', id, cursors: part }));
      [part, size] = [{}, 0];
    }
    part[container] = cursor;
    size += container.length + cursor.length + 8;
  }
  // A container that is named has one log, and a start contradicts its cursor.
  const start = 'container' in target && size > 0 ? {} : { tail, since };
  const rest = size > 0 ? { cursors: part } : {};
  messages.push(
    JSON.stringify({ op: 'subscribe', id, ...target, ...start, until, follow, credit, ...rest }),
  );
  return messages;
}
