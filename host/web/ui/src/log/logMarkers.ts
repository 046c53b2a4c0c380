// The remarks among the lines of a log.

import { formatAge } from '../format';
import type { LogCut } from './logCuts';
import type { MuxMessage } from './muxMessages';

// Of more containers, a remark has the number.
const MAX_NAMES = 5;

const GAP_REASONS: Record<string, string> = {
  rotated: 'the engine removed them',
  replaced: 'the container was made anew',
  lagged: 'the engine was faster than the daemon',
};

/** Returns the remark for an event, or `undefined` if it needs none. */
export function markerText(name: string, event: MuxMessage): string | undefined {
  switch (event.type) {
    case 'gap': {
      const from = event.after === null ? '' : ` after ${event.after}`;
      return `${name}: lines are missing${from}: ${GAP_REASONS[event.reason] ?? event.reason}`;
    }
    case 'stopped':
      return `${name} stopped${event.exitCode === null ? '' : ` with exit code ${event.exitCode}`}`;
    case 'started':
      return `${name} started`;
    default:
      return undefined;
  }
}

/** Returns the remark for logs that ended together. */
export function endText(names: readonly string[], reason: string): string {
  if (names.length === 1) return `the log of ${names.join('')} ended: ${reason}`;
  const which = names.length <= MAX_NAMES ? names.join(', ') : `${names.length} containers`;
  return `the logs of ${which} ended: ${reason}`;
}

/** Returns the remark for a cut that ends now. */
export function cutText({ cause, since }: LogCut, now: number): string {
  const age = formatAge(new Date(since).toISOString(), now);
  return cause === 'engine'
    ? `engine reconnected after ${age}: it was restarted or could not be reached`
    : `reconnected after ${age}`;
}

/** Returns the time of an event in nanoseconds, where it has one. */
export function markerTime(event: MuxMessage): bigint | undefined {
  if (!('time' in event) || event.time === null) return undefined;
  const millis = Date.parse(event.time);
  return Number.isNaN(millis) ? undefined : BigInt(millis) * 1_000_000n;
}
