// What the views around a log know of it.

import { signal, type Signal } from '@preact/signals';
import type { LinePlace, LogRange } from '../route';
import type { LineFilter } from './lineStore';
import type { PaneState } from './logPane';
import { LogLevel } from './logLevel';
import type { ConnectionStatus } from './muxClient';
import type { SubscribeRange } from './muxMessages';
import type { LineView, LogUpdate, SourceView } from './workerMessages';

// Without a range, a log begins with so many lines.
export const TAIL = 10_000;
// A link to a line also shows what was written in this time before it, in seconds.
const CONTEXT_SECONDS = 60n;
const BILLION = 1_000_000_000n;

export interface LogState {
  status: ConnectionStatus;
  message: string | undefined;
  /** The HTTP status that belongs to the message. */
  code: number | undefined;
  sources: SourceView[];
  total: number;
  loaded: number;
  dropped: number;
  isHeld: boolean;
  matchCount: number;
  isSearching: boolean;
  searchError: string | undefined;
  pane: PaneState;
  current: LineView | undefined;
  /** What the last copy or download did, as a sentence. */
  remark: string;
}

export const firstState: LogState = {
  status: 'connecting',
  message: undefined,
  code: undefined,
  sources: [],
  total: 0,
  loaded: 0,
  dropped: 0,
  isHeld: false,
  matchCount: 0,
  isSearching: false,
  searchError: undefined,
  pane: { isFollowing: true, newLines: 0 },
  current: undefined,
  remark: '',
};

export function stateOf(update: LogUpdate, before: LogState): Partial<LogState> {
  return {
    total: update.total,
    loaded: update.loaded,
    dropped: update.dropped,
    isHeld: update.isHeld,
    matchCount: update.matchCount,
    isSearching: update.isSearching,
    sources: update.sources ?? before.sources,
  };
}

export const everything: LineFilter = { minLevel: LogLevel.none, streams: 'both', isMatchingOnly: false };

/** Returns a filter for the worker: none if all lines are shown. */
export function activeFilter(filter: LineFilter): LineFilter | undefined {
  const isAll = filter.minLevel === LogLevel.none && filter.streams === 'both' && !filter.isMatchingOnly;
  return isAll ? undefined : filter;
}

/** Returns what to subscribe to for a range and a line that a link names. */
export function subscribeRange(range: LogRange, place: LinePlace | undefined): Pick<SubscribeRange, 'tail'> & LogRange {
  if (range.since !== undefined || range.until !== undefined) return { tail: 'all', ...range };
  if (place === undefined) return { tail: TAIL };
  const seconds = BigInt(place.time) / BILLION - CONTEXT_SECONDS;
  return seconds <= 0n ? { tail: 'all' } : { tail: 'all', since: String(seconds) };
}

/** How lines are drawn. These outlive a log: the next one is drawn the same way. */
export interface LogPreferences {
  timeMode: Signal<'none' | 'local' | 'utc' | 'relative'>;
  isWrapped: Signal<boolean>;
  isFolded: Signal<boolean>;
}

export const preferences: LogPreferences = {
  timeMode: signal('local'),
  isWrapped: signal(true),
  isFolded: signal(true),
};
