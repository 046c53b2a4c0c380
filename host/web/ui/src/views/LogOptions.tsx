import { useSignal, type Signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { TimeMode } from '../format';
import type { LineFilter } from '../log/lineStore';
import { LogLevel, type LevelNumber } from '../log/logLevel';
import { preferences, TAIL, type LogState } from '../log/logState';
import type { LogRange } from '../route';
import { formatCount } from '../format';

export interface LogOptionsProps {
  state: LogState;
  filter: Signal<LineFilter>;
  range: LogRange;
  onRange(range: LogRange): void;
  onCopy(): void;
  onCopyLine(): void;
  onLink(): void;
  onExport(): void;
  onDownload(): void;
}

const RANGES: readonly [string, LogRange, string][] = [
  ['latest', {}, `Latest ${formatCount(TAIL)} lines`],
  ['15m', { since: '15m' }, 'Last 15 minutes'],
  ['1h', { since: '1h' }, 'Last hour'],
  ['24h', { since: '24h' }, 'Last 24 hours'],
  ['all', { since: '1970-01-01T00:00:00Z' }, 'Everything'],
];

const LEVELS: readonly [LevelNumber, string][] = [
  [LogLevel.none, 'All levels'],
  [LogLevel.debug, 'Debug and above'],
  [LogLevel.info, 'Info and above'],
  [LogLevel.warn, 'Warnings and errors'],
  [LogLevel.error, 'Errors'],
];

/** The second row of the toolbar: what is read and shown, and where it goes. */
export function LogOptions(props: LogOptionsProps) {
  const { state, filter, range } = props;
  const { timeMode, isWrapped, isFolded } = preferences;
  const isChoosing = useSignal(false);
  // On a phone, the lines need the space. It is asked once: later it is the user's choice.
  const [isWide] = useState(() => matchMedia('(min-width: 701px)').matches);
  const chosen = RANGES.find(([, { since }]) => since === range.since && range.until === undefined);
  const onRange = (name: string): void => {
    if (name === 'choose') isChoosing.value = true;
    else props.onRange(RANGES.find(([key]) => key === name)?.[1] ?? {});
  };
  return (
    <details class="options-box" open={isWide}>
      <summary>Options</summary>
      <div class="toolbar options" role="group" aria-label="What is shown">
        <select aria-label="Range" value={chosen?.[0] ?? 'choose'} onChange={(event) => onRange(event.currentTarget.value)}>
          {RANGES.map(([key, , text]) => <option key={key} value={key}>{text}</option>)}
          <option value="choose">{chosen === undefined ? rangeText(range) : 'Choose a range…'}</option>
        </select>
        <select
          aria-label="Level"
          value={String(filter.value.minLevel)}
          onChange={(event) => (filter.value = { ...filter.value, minLevel: Number(event.currentTarget.value) as LevelNumber })}
        >
          {LEVELS.map(([level, text]) => <option key={level} value={String(level)}>{text}</option>)}
        </select>
        <select
          aria-label="Stream"
          value={filter.value.streams}
          onChange={(event) => (filter.value = { ...filter.value, streams: event.currentTarget.value as LineFilter['streams'] })}
        >
          <option value="both">Both streams</option>
          <option value="stdout">Standard output</option>
          <option value="stderr">Standard error</option>
        </select>
        <select
          aria-label="Times"
          value={timeMode.value}
          onChange={(event) => (timeMode.value = event.currentTarget.value as TimeMode)}
        >
          <option value="local">Local time</option>
          <option value="utc">UTC</option>
          <option value="relative">Relative</option>
          <option value="none">No times</option>
        </select>
        <button type="button" aria-pressed={isWrapped.value} title="Wrap long lines (w)" onClick={() => (isWrapped.value = !isWrapped.value)}>Wrap</button>
        <button type="button" aria-pressed={isFolded.value} title="Show lines of JSON in short (J)" onClick={() => (isFolded.value = !isFolded.value)}>Fold JSON</button>
        <button type="button" onClick={props.onCopy}>Copy</button>
        <button type="button" onClick={props.onExport}>Save shown</button>
        <button type="button" onClick={props.onDownload}>Save all</button>
        {state.current === undefined ? null : (
          <>
            <button type="button" title="Copy the marked line (c)" onClick={props.onCopyLine}>Copy line</button>
            <button type="button" title="Copy a link to the marked line (l)" onClick={props.onLink}>Link to line</button>
          </>
        )}
        <span class="quiet" role="status">{state.remark}</span>
        {isChoosing.value ? (
          <RangeDialog range={range} onRange={props.onRange} onClose={() => (isChoosing.value = false)} />
        ) : null}
      </div>
    </details>
  );
}

function rangeText({ since, until }: LogRange): string {
  return [since === undefined ? '' : `since ${since}`, until === undefined ? '' : `until ${until}`].join(' ').trim();
}

interface RangeDialogProps {
  range: LogRange;
  onRange(range: LogRange): void;
  onClose(): void;
}

function RangeDialog({ range, onRange, onClose }: RangeDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const since = useSignal(inputTime(range.since));
  const until = useSignal(inputTime(range.until));
  useEffect(() => dialog.current?.showModal(), []);
  const field = (text: string, value: Signal<string>) => (
    <label>
      {text}
      <input type="datetime-local" step="1" value={value.value} onInput={(event) => (value.value = event.currentTarget.value)} />
    </label>
  );
  const show = (): void => {
    onClose();
    const next: LogRange = {};
    if (since.value !== '') next.since = new Date(since.value).toISOString();
    if (until.value !== '') next.until = new Date(until.value).toISOString();
    onRange(next);
  };
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="range-title">
      <h2 id="range-title">Range</h2>
      <p class="fields">
        {field('Since', since)}
        {field('Until', until)}
      </p>
      <div class="dialog-buttons">
        <button type="button" onClick={onClose}>Cancel</button>
        <button type="button" onClick={show}>Show</button>
      </div>
    </dialog>
  );
}

/** Returns a time in the form of the input, in the browser's time zone. */
function inputTime(time: string | undefined): string {
  const millis = Date.parse(time ?? '');
  if (Number.isNaN(millis)) return '';
  const offset = new Date(millis).getTimezoneOffset() * 60_000;
  return new Date(millis - offset).toISOString().slice(0, 19);
}
