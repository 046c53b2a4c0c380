import { useSignal, type Signal } from '@preact/signals';
import type { RefObject } from 'preact';
import { formatCount, formatLines } from '../format';
import type { LineFilter } from '../log/lineStore';
import type { LogState } from '../log/logState';
import type { SearchRequest } from '../log/workerMessages';

export interface LogToolbarProps {
  state: LogState;
  searchInput: RefObject<HTMLInputElement | null>;
  filter: Signal<LineFilter>;
  onFind(step: 1 | -1): void;
  onFollow(isFollowing: boolean): void;
  onSearch(request: SearchRequest | undefined): void;
}

export function LogToolbar(props: LogToolbarProps) {
  const { state, searchInput, filter } = props;
  const text = useSignal('');
  const isRegex = useSignal(false);
  const isCaseSensitive = useSignal(false);
  const isInverted = useSignal(false);
  const search = (): void => {
    props.onSearch(
      text.value === ''
        ? undefined
        : {
            text: text.value,
            isRegex: isRegex.value,
            isCaseSensitive: isCaseSensitive.value,
            isInverted: isInverted.value,
          },
    );
  };
  const option = (value: Signal<boolean>, name: string, sign: string) => (
    <button
      type="button"
      aria-pressed={value.value}
      aria-label={name}
      title={name}
      onClick={() => {
        value.value = !value.value;
        search();
      }}
    >
      {sign}
    </button>
  );
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === 'Enter') props.onFind(event.shiftKey ? -1 : 1);
    if (event.key !== 'Escape') return;
    // It would empty the field as well.
    event.preventDefault();
    searchInput.current?.blur();
  };
  const { isFollowing } = state.pane;
  return (
    <div class="toolbar">
      <a class="button" href="#/" aria-label="Back to the containers">←</a>
      <h1 class="title">{title(state)}</h1>
      <span class="search" role="search">
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
        {option(isRegex, 'Regular expression', '.*')}
        {option(isCaseSensitive, 'Match case', 'Aa')}
        {option(isInverted, 'Lines without it', '!')}
        <button
          type="button"
          aria-pressed={filter.value.isMatchingOnly}
          title="Show only matching lines"
          onClick={() => (filter.value = { ...filter.value, isMatchingOnly: !filter.value.isMatchingOnly })}
        >
          Only
        </button>
        <button type="button" aria-label="Previous match" title="Previous match (N)" disabled={state.matchCount === 0} onClick={() => props.onFind(-1)}>↑</button>
        <button type="button" aria-label="Next match" title="Next match (n)" disabled={state.matchCount === 0} onClick={() => props.onFind(1)}>↓</button>
        <span class="count" role="status">{searchResult(state, text.value)}</span>
      </span>
      <button type="button" aria-pressed={!isFollowing} title="Pause or go on (p)" onClick={() => props.onFollow(!isFollowing)}>
        {isFollowing ? 'Pause' : 'Continue'}
      </button>
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
  const count = formatLines(state.matchCount);
  return state.isSearching ? `${count}…` : count;
}

function connectionText({ status, total, loaded, dropped, isHeld }: LogState): string {
  const count = total === loaded ? formatLines(total) : `${formatCount(total)} of ${formatLines(loaded)}`;
  switch (status) {
    case 'connecting':
      return 'connecting…';
    case 'reconnecting':
      return `${count}, reconnecting…`;
    case 'closed':
      return `${count}, ended`;
    default: {
      const left = dropped === 0 ? '' : `, ${formatCount(dropped)} older ones left out`;
      return `${count}${left}${isHeld ? ', waiting' : ''}`;
    }
  }
}
