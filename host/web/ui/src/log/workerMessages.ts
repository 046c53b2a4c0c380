// What the page and the worker of a log tell each other.

import type { ConnectionStatus } from './muxClient';
import type { LogTarget } from './muxMessages';

export interface SearchRequest {
  text: string;
  isRegex: boolean;
  isCaseSensitive: boolean;
}

/** The lines that are visible: a count from a position on, or the last ones. */
export interface ViewWindow {
  first: number | 'last';
  count: number;
}

export type WorkerRequest =
  | { type: 'open'; token: string; origin: string; targets: LogTarget[]; tail: number | 'all' }
  | ({ type: 'view' } & ViewWindow)
  | { type: 'pause'; isPaused: boolean }
  | { type: 'taken' }
  | { type: 'search'; search: SearchRequest | undefined }
  | { type: 'find'; from: number; step: 1 | -1 }
  | { type: 'retry' }
  | { type: 'export' };

export interface LineView {
  id: number;
  position: number;
  source: number;
  flags: number;
  /** Milliseconds since 1970. */
  time: number;
  text: string;
  /** The number of bytes that were left out of a very long line. */
  omitted: number;
  /** Pairs of a start and an end in the text without escape sequences. */
  matches: number[];
}

export interface SourceView {
  name: string;
  isLive: boolean;
}

export interface LogUpdate {
  type: 'update';
  total: number;
  dropped: number;
  /** Position of the first of `lines`. */
  first: number;
  lines: LineView[];
  sources: SourceView[] | undefined;
  matchCount: number;
  isSearching: boolean;
  isHeld: boolean;
}

export type WorkerReply =
  | LogUpdate
  | { type: 'status'; status: ConnectionStatus; message: string | undefined }
  | { type: 'searchError'; message: string | undefined }
  | { type: 'found'; position: number }
  | { type: 'export'; content: Blob };
