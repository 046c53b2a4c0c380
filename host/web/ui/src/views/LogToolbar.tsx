import { useSignal, type Signal } from '@preact/signals';
import type { RefObject } from 'preact';
import { formatCount, type TimeMode } from '../format';
import type { SearchRequest } from '../log/workerMessages';
import type { LogState } from './LogView';

export interface LogToolbarProps {
  state: LogState;
  searchInput: RefObject<HTMLInputElement | null>;
  timeMode: Signal<TimeMode>;
  isWrapped: Signal<boolean>;
  onFind(step: 1 | -1): void;
  onFollow(isFollowing: boolean): void;
  onSearch(request: SearchRequest | undefined): void;
  onDownload(): void;
}

export function LogToolbar(props: LogToolbarProps) {
  const { state, searchInput, timeMode, isWrapped } = props;
  const text = useSignal('');
  const isRegex = useSignal(false);
  const isCaseSensitive = useSignal(false);
  const search = (): void => {
    props.onSearch(
      text.value === ''
        ? undefined
        : { text: text.value, isRegex: isRegex.value, isCaseSensitive: isCaseSensitive.value },
    );
  };
  const toggle = (option: Signal<boolean>): void => {
    option.value = !option.value;
    search();
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === 'Enter') props.onFind(event.shiftKey ? -1 : 1);
    if (event.key !== 'Escape') return;
    // It would empty the field as well.
    event.preventDefault();
    searchInput.current?.blur();
  };
  const { isFollowing } = state.pane;
  return (
    <div class="toolbar" role="toolbar" aria-label="Log">
      <a class="button" href="#/" aria-label="Back to the containers">←</a>
      <h1 class="title">{title(state)}</h1>
      <span class="search">
        <input
          ref={searchInput}
          type="search"
          aria-label="Search the log"
          aria-invalid={state.searchError !== undefined}
          placeholder="Search (press /)"
          value={text.value}
          onInput={(event) => {
            text.value = event.currentTarget.value;
            search();
          }}
          onKeyDown={onKey}
        />
        <button type="button" aria-pressed={isRegex.value} title="Regular expression" onClick={() => toggle(isRegex)}>.*</button>
        <button type="button" aria-pressed={isCaseSensitive.value} title="Match case" onClick={() => toggle(isCaseSensitive)}>Aa</button>
        <button type="button" title="Previous match (N)" disabled={state.matchCount === 0} onClick={() => props.onFind(-1)}>↑</button>
        <button type="button" title="Next match (n)" disabled={state.matchCount === 0} onClick={() => props.onFind(1)}>↓</button>
        <span class="count" role="status">{searchResult(state, text.value)}</span>
      </span>
      <button type="button" aria-pressed={!isFollowing} onClick={() => props.onFollow(!isFollowing)}>
        {isFollowing ? 'Pause' : 'Continue'}
      </button>
      <label>
        <span class="hidden">Times</span>
        <select value={timeMode.value} onChange={(event) => (timeMode.value = event.currentTarget.value as TimeMode)}>
          <option value="local">Local time</option>
          <option value="utc">UTC</option>
          <option value="relative">Relative</option>
          <option value="none">No times</option>
        </select>
      </label>
      <button type="button" aria-pressed={isWrapped.value} onClick={() => (isWrapped.value = !isWrapped.value)}>Wrap</button>
      <button type="button" onClick={props.onDownload}>Download</button>
      <span class="quiet" role="status">{connectionText(state)}</span>
    </div>
  );
}

function title({ sources }: LogState): string {
  if (sources.length === 0) return 'Log';
  return sources.length <= 3 ? sources.map(({ name }) => name).join(', ') : `${sources.length} containers`;
}

function searchResult(state: LogState, text: string): string {
  if (text === '') return '';
  if (state.searchError !== undefined) return state.searchError;
  const count = `${formatCount(state.matchCount)} ${state.matchCount === 1 ? 'line' : 'lines'}`;
  return state.isSearching ? `${count}…` : count;
}

function connectionText({ status, total, dropped, isHeld }: LogState): string {
  switch (status) {
    case 'connecting':
      return 'connecting…';
    case 'reconnecting':
      return 'reconnecting…';
    case 'closed':
      return `${formatCount(total)} lines, ended`;
    default: {
      const left = dropped === 0 ? '' : `, ${formatCount(dropped)} older ones left out`;
      return `${formatCount(total)} lines${left}${isHeld ? ', waiting' : ''}`;
    }
  }
}
