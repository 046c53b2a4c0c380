// The remarks among the lines of a log.

import type { MuxMessage } from './muxMessages';

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
    case 'left':
      return `the log of ${name} ended: ${event.reason}`;
    default:
      return undefined;
  }
}

/** Returns the time of an event in nanoseconds, where it has one. */
export function markerTime(event: MuxMessage): bigint | undefined {
  if (!('time' in event) || event.time === null) return undefined;
  const millis = Date.parse(event.time);
  return Number.isNaN(millis) ? undefined : BigInt(millis) * 1_000_000n;
}
