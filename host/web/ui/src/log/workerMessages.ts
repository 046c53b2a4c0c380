// What the page and the worker of a log tell each other.

import type { LinePlace, LogRange } from '../route';
import type { LineFilter } from './lineStore';
import type { ConnectionStatus } from './muxClient';
import type { LogTarget } from './muxMessages';

export interface SearchRequest {
  text: string;
  isRegex: boolean;
  isCaseSensitive: boolean;
  /** Whether the lines match that do not have it. */
  isInverted: boolean;
}

/** The lines that are visible: a count from a position on, or the last ones. */
export interface ViewWindow {
  first: number | 'last';
  count: number;
}

export interface OpenRequest {
  type: 'open';
  token: string;
  origin: string;
  targets: LogTarget[];
  tail: number | 'all';
  range: LogRange;
  /** The line to go to as soon as it arrives. */
  place: LinePlace | undefined;
}

export type WorkerRequest =
  | OpenRequest
  | ({ type: 'view' } & ViewWindow)
  | { type: 'pause'; isPaused: boolean }
  | { type: 'taken' }
  | { type: 'search'; search: SearchRequest | undefined }
  | { type: 'find'; from: number; step: 1 | -1 }
  /** `anchor` is the line that stays where it is. */
  | { type: 'filter'; filter: LineFilter | undefined; anchor: number | undefined }
  | { type: 'fold'; isFolded: boolean }
  | { type: 'retry' }
  /** Asks for the lines that are shown, as a file or as text for the clipboard. */
  | { type: 'export' }
  | { type: 'copy' }
  /** Asks for the whole range, also what was not loaded. */
  | { type: 'download' };

export interface LineView {
  id: number;
  position: number;
  source: number;
  flags: number;
  level: number;
  /** Milliseconds since 1970. */
  time: number;
  /** Nanoseconds since 1970, in digits. */
  nanos: string;
  text: string;
  /** Where the fields of a folded line of JSON begin, or -1. */
  fieldsAt: number;
  /** The number of bytes that were left out of a very long line. */
  omitted: number;
  /** Pairs of a start and an end in the text without escape sequences. */
  matches: number[];
}

export interface SourceView {
  container: string;
  name: string;
  isLive: boolean;
}

export interface LogUpdate {
  type: 'update';
  /** The number of lines that the filter leaves. */
  total: number;
  /** The number of all lines. */
  loaded: number;
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
  | { type: 'status'; status: ConnectionStatus; message: string | undefined; code: number | undefined }
  /** A remark was added to the log. */
  | { type: 'marker'; text: string }
  | { type: 'searchError'; message: string | undefined }
  | { type: 'found'; position: number }
  /** The filter was applied: the anchor is at a position now. */
  | { type: 'filtered'; position: number | undefined }
  | { type: 'export'; content: Blob }
  | { type: 'copy'; text: string; isCut: boolean }
  /** The progress of a download, in bytes. */
  | { type: 'downloading'; bytes: number; error: string | undefined };
