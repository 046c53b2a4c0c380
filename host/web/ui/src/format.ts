/** Returns the time since `since` as kubectl prints it. */
export function formatAge(since: string | undefined, now: number): string {
  if (since === undefined) return '';
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000));
  if (Number.isNaN(seconds)) return '';
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

export type TimeMode = 'none' | 'local' | 'utc' | 'relative';

const two = (value: number): string => String(value).padStart(2, '0');
const three = (value: number): string => String(value).padStart(3, '0');

/** Returns the time of a line. */
export function formatTime(millis: number, mode: TimeMode, now: number): string {
  const date = new Date(millis);
  switch (mode) {
    case 'none':
      return '';
    case 'local':
      return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${three(date.getMilliseconds())}`;
    case 'utc':
      return `${date.toISOString().slice(11, 23)}Z`;
    case 'relative':
      return `${formatAge(date.toISOString(), now)} ago`;
  }
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Returns a count with its noun. */
export function formatLines(count: number): string {
  return `${formatCount(count)} ${count === 1 ? 'line' : 'lines'}`;
}

/** Returns a number of bytes as docker prints it. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toPrecision(3))} ${units[unit]}`;
}

/** Returns a sentence of the daemon, which begins with a small letter, as people write it. */
export function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
