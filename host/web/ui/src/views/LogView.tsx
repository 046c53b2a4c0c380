import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { formatCount, type TimeMode } from '../format';
import { LogConnection } from '../log/logConnection';
import { LogPane, type PaneState } from '../log/logPane';
import type { ConnectionStatus } from '../log/muxClient';
import type { LogTarget } from '../log/muxMessages';
import type { LogUpdate, SearchRequest, SourceView, WorkerReply } from '../log/workerMessages';
import { endSession } from '../sessionState';
import { LogToolbar } from './LogToolbar';

// Screen readers get a count now and then, not each line.
const ANNOUNCE_INTERVAL = 5000;
const TAIL = 10_000;

export interface LogState {
  status: ConnectionStatus;
  message: string | undefined;
  sources: SourceView[];
  total: number;
  dropped: number;
  isHeld: boolean;
  matchCount: number;
  isSearching: boolean;
  searchError: string | undefined;
  pane: PaneState;
}

const firstState: LogState = {
  status: 'connecting',
  message: undefined,
  sources: [],
  total: 0,
  dropped: 0,
  isHeld: false,
  matchCount: 0,
  isSearching: false,
  searchError: undefined,
  pane: { isFollowing: true, newLines: 0 },
};

export function LogView({ targets, token }: { targets: LogTarget[]; token: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const pane = useRef<LogPane>(null);
  const connection = useRef<LogConnection>(null);
  const state = useSignal(firstState);
  const announcement = useSignal('');
  const isWrapped = useSignal(true);
  const timeMode = useSignal<TimeMode>('local');

  useEffect(() => {
    if (scroller.current === null) return undefined;
    const change = (part: Partial<LogState>): void => {
      const before = state.value;
      if (Object.entries(part).some(([name, value]) => before[name as keyof LogState] !== value)) {
        state.value = { ...before, ...part };
      }
    };
    const onReply = (reply: WorkerReply): void => {
      switch (reply.type) {
        case 'update':
          pane.current?.show(reply);
          change(stateOf(reply, state.value));
          break;
        case 'status':
          if (reply.status === 'signedOut') endSession();
          change({ status: reply.status, message: reply.message });
          break;
        case 'searchError':
          change({ searchError: reply.message });
          break;
        case 'found':
          if (reply.position >= 0) pane.current?.reveal(reply.position);
          break;
        case 'export':
          download(reply.content, targets);
          break;
      }
    };
    const log = new LogConnection(onReply);
    connection.current = log;
    let wasFollowing = true;
    pane.current = new LogPane({
      scroller: scroller.current,
      onWindow: (window) => log.send({ type: 'view', ...window }),
      onState: (next) => {
        if (next.isFollowing !== wasFollowing) {
          wasFollowing = next.isFollowing;
          log.send({ type: 'pause', isPaused: !next.isFollowing });
        }
        const { isFollowing, newLines } = state.value.pane;
        if (isFollowing !== next.isFollowing || newLines !== next.newLines) change({ pane: next });
      },
    });
    log.send({ type: 'open', token, origin: location.origin, targets, tail: TAIL });
    const retry = (): void => log.send({ type: 'retry' });
    addEventListener('online', retry);
    document.addEventListener('visibilitychange', retry);
    return () => {
      removeEventListener('online', retry);
      document.removeEventListener('visibilitychange', retry);
      pane.current?.dispose();
      log.close();
    };
  }, [token]);

  useEffect(() => announceLines(() => state.value.total, (text) => (announcement.value = text)), []);
  useEffect(() => pane.current?.setTimeMode(timeMode.value), [timeMode.value]);
  useEffect(() => pane.current?.relayout(), [isWrapped.value]);

  const find = (step: 1 | -1): void => {
    const shown = pane.current;
    if (shown === null) return;
    // Without a current match, the search begins at the end, where the latest lines are.
    const from = shown.current >= 0 ? shown.current + step : state.value.total - (step < 0 ? 1 : 0);
    connection.current?.send({ type: 'find', from, step });
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys: Record<string, () => void> = {
      '/': () => search.current?.focus(),
      n: () => find(1),
      N: () => find(-1),
      G: () => pane.current?.follow(true),
      F: () => pane.current?.follow(true),
      g: () => pane.current?.reveal(0),
      p: () => pane.current?.follow(!state.value.pane.isFollowing),
      w: () => (isWrapped.value = !isWrapped.value),
    };
    const action = keys[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  };
  useEffect(() => {
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);

  return (
    <main class="log-view">
      <LogToolbar
        state={state.value}
        searchInput={search}
        timeMode={timeMode}
        isWrapped={isWrapped}
        onFind={find}
        onFollow={(isFollowing) => pane.current?.follow(isFollowing)}
        onSearch={(request: SearchRequest | undefined) => connection.current?.send({ type: 'search', search: request })}
        onDownload={() => connection.current?.send({ type: 'export' })}
      />
      <LogMessage state={state.value} />
      <div
        ref={scroller}
        class={`log${isWrapped.value ? '' : ' unwrapped'}`}
        role="log"
        aria-live="off"
        aria-label={`Log of ${state.value.sources.map(({ name }) => name).join(', ') || 'containers'}`}
        tabIndex={0}
      />
      {state.value.pane.isFollowing ? null : (
        <button type="button" class="follow" onClick={() => pane.current?.follow(true)}>
          {state.value.pane.newLines === 0 ? 'Follow' : `${formatCount(state.value.pane.newLines)} new lines`} ↓
        </button>
      )}
      <div class="hidden" role="status" aria-live="polite">{announcement.value}</div>
    </main>
  );
}

function LogMessage({ state }: { state: LogState }) {
  const { status, message, total, sources } = state;
  if (message !== undefined) return <p class="failure" role="alert">{message}</p>;
  if (status === 'open' && total === 0) {
    return (
      <p class="quiet" role="status">
        {sources.length === 0 ? 'Waiting for a container…' : 'Nothing was written to this log yet.'}
      </p>
    );
  }
  return null;
}

function stateOf(update: LogUpdate, before: LogState): Partial<LogState> {
  return {
    total: update.total,
    dropped: update.dropped,
    isHeld: update.isHeld,
    matchCount: update.matchCount,
    isSearching: update.isSearching,
    sources: update.sources ?? before.sources,
  };
}

function announceLines(total: () => number, say: (text: string) => void): () => void {
  let last = 0;
  const timer = setInterval(() => {
    const count = total() - last;
    last = total();
    if (count > 0) say(`${formatCount(count)} new lines`);
  }, ANNOUNCE_INTERVAL);
  return () => clearInterval(timer);
}

function download(content: Blob, targets: readonly LogTarget[]): void {
  const name = targets.map((target) => Object.values(target).join('').slice(0, 20)).join('+');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = `${name || 'containers'}.log`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
