import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { capitalize, formatBytes, formatLines } from '../format';
import { stripAnsi } from '../log/ansi';
import { LineFlag } from '../log/lineStore';
import { LogConnection } from '../log/logConnection';
import { LogPane } from '../log/logPane';
import { activeFilter, everything, firstState, preferences, stateOf, subscribeRange, type LogState } from '../log/logState';
import type { LogTarget } from '../log/muxMessages';
import type { WorkerReply } from '../log/workerMessages';
import { logsHash, type LinePlace, type LogRange } from '../route';
import { endSession } from '../sessionState';
import { useLogKeys } from './logKeys';
import { LogMessage } from './LogMessage';
import { LogOptions } from './LogOptions';
import { LogToolbar } from './LogToolbar';

// Screen readers get a count now and then, not each line.
const ANNOUNCE_INTERVAL = 5000;

export interface LogViewProps {
  targets: LogTarget[];
  range: LogRange;
  place: LinePlace | undefined;
  token: string;
}

export function LogView({ targets, range, place, token }: LogViewProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const pane = useRef<LogPane>(null);
  const connection = useRef<LogConnection>(null);
  const state = useSignal(firstState);
  const announcement = useSignal('');
  const filter = useSignal(everything);
  const { isWrapped, isFolded, timeMode } = preferences;

  const change = (part: Partial<LogState>): void => {
    const before = state.value;
    if (Object.entries(part).some(([name, value]) => before[name as keyof LogState] !== value)) {
      state.value = { ...before, ...part };
    }
  };
  const remark = (text: string): void => change({ remark: text });

  useEffect(() => {
    if (scroller.current === null) return undefined;
    const onReply = (reply: WorkerReply): void => {
      switch (reply.type) {
        case 'update':
          pane.current?.show(reply);
          change(stateOf(reply, state.value));
          break;
        case 'status':
          if (reply.status === 'signedOut') endSession();
          change({ status: reply.status, message: reply.message, code: reply.code });
          break;
        case 'marker':
          announcement.value = capitalize(reply.text);
          break;
        case 'searchError':
          change({ searchError: reply.message });
          break;
        case 'found':
          if (reply.position >= 0) pane.current?.reveal(reply.position);
          break;
        case 'filtered':
          pane.current?.refilter(reply.position);
          break;
        case 'export':
          save(reply.content, targets);
          break;
        case 'copy':
          void copy(reply.text, reply.isCut ? 'The last lines are copied; there are too many for all.' : 'Copied.', remark);
          break;
        case 'downloading':
          remark(reply.error ?? (reply.bytes === 0 ? '' : `${formatBytes(reply.bytes)} read…`));
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
      onCurrent: (current) => change({ current }),
    });
    const { tail, ...times } = subscribeRange(range, place);
    log.send({ type: 'open', token, origin: location.origin, targets, tail, range: times, place });
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
  useEffect(() => {
    connection.current?.send({ type: 'fold', isFolded: isFolded.value });
    pane.current?.redraw();
  }, [isFolded.value]);
  useEffect(() => {
    connection.current?.send({ type: 'filter', filter: activeFilter(filter.value), anchor: pane.current?.anchor });
  }, [filter.value]);

  const find = (step: 1 | -1): void => {
    const shown = pane.current;
    if (shown === null) return;
    // Without a current match, the search begins at the end, where the latest lines are.
    const from = shown.current >= 0 ? shown.current + step : state.value.total - (step < 0 ? 1 : 0);
    connection.current?.send({ type: 'find', from, step });
  };
  const copyLine = (): void => {
    const line = state.value.current;
    if (line !== undefined) void copy(stripAnsi(line.text), 'The line is copied.', remark);
  };
  const copyLink = (): void => {
    const line = state.value.current;
    const container = line === undefined ? undefined : state.value.sources[line.source]?.container;
    if (line === undefined || container === undefined) return;
    if ((line.flags & LineFlag.marker) !== 0) {
      remark('A remark has no link: choose a line.');
      return;
    }
    const link = new URL(logsHash(targets, {}, { container, time: line.nanos }), location.href);
    void copy(link.href, 'The link is copied. It needs a session, as this page does.', remark);
  };
  useLogKeys({
    '/': () => search.current?.focus(),
    n: () => find(1),
    N: () => find(-1),
    G: () => pane.current?.follow(true),
    F: () => pane.current?.follow(true),
    g: () => pane.current?.reveal(0),
    p: () => pane.current?.follow(!state.value.pane.isFollowing),
    w: () => (isWrapped.value = !isWrapped.value),
    J: () => (isFolded.value = !isFolded.value),
    j: () => pane.current?.step(1),
    k: () => pane.current?.step(-1),
    c: copyLine,
    l: copyLink,
  });

  return (
    <main class="log-view">
      <LogToolbar
        state={state.value}
        searchInput={search}
        filter={filter}
        onFind={find}
        onFollow={(isFollowing) => pane.current?.follow(isFollowing)}
        onSearch={(request) => connection.current?.send({ type: 'search', search: request })}
      />
      <LogOptions
        state={state.value}
        filter={filter}
        range={range}
        onRange={(next) => (location.hash = logsHash(targets, next))}
        onCopy={() => connection.current?.send({ type: 'copy' })}
        onCopyLine={copyLine}
        onLink={copyLink}
        onExport={() => connection.current?.send({ type: 'export' })}
        onDownload={() => {
          remark('Reading…');
          connection.current?.send({ type: 'download' });
        }}
      />
      <LogMessage state={state.value} isFiltered={activeFilter(filter.value) !== undefined} />
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
          {state.value.pane.newLines === 0 ? 'Follow' : `${formatLines(state.value.pane.newLines).replace(' ', ' new ')}`} ↓
        </button>
      )}
      <div class="hidden" role="status" aria-live="polite">{announcement.value}</div>
    </main>
  );
}

async function copy(text: string, success: string, remark: (text: string) => void): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    remark(success);
  } catch {
    remark('The browser does not allow the page to copy.');
  }
}

function announceLines(total: () => number, say: (text: string) => void): () => void {
  let last = 0;
  const timer = setInterval(() => {
    const count = total() - last;
    last = total();
    if (count > 0) say(formatLines(count).replace(' ', ' new '));
  }, ANNOUNCE_INTERVAL);
  return () => clearInterval(timer);
}

function save(content: Blob, targets: readonly LogTarget[]): void {
  const name = targets.map((target) => Object.values(target).join('').slice(0, 20)).join('+');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  // A name of a file, whatever the project is called.
  link.download = `${name.replace(/[^A-Za-z0-9_.+-]/g, '_').slice(0, 100) || 'containers'}.log`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
