// The place in the page is in the fragment, so that it can be a link: a list, the
// engine, the shell of a container, or logs of containers or of a Compose project.

import type { LogTarget } from './log/muxMessages';

export const listNames = ['containers', 'images', 'volumes', 'engine'] as const;
export type ListName = (typeof listNames)[number];

/** Which part of the logs is read. */
export interface LogRange {
  since?: string;
  until?: string;
}

/** The line that a link names, by its container and its time in nanoseconds. */
export interface LinePlace {
  container: string;
  time: string;
}

export type PageRoute =
  | { view: ListName }
  | { view: 'shell'; container: string }
  | { view: 'logs'; targets: LogTarget[]; range: LogRange; place: LinePlace | undefined };

// The daemon rejects times that it cannot read; this keeps a link from being anything else.
const TIME = /^[0-9A-Za-z:.+-]{1,40}$/;

export function parseRoute(hash: string): PageRoute {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const params = new URLSearchParams(query);
  if (path === 'shell') {
    const container = params.get('container');
    return container === null ? { view: 'containers' } : { view: 'shell', container };
  }
  if (path !== 'logs') return { view: listNames.find((name) => name === path) ?? 'containers' };
  const targets: LogTarget[] = [
    ...params.getAll('container').map((container) => ({ container })),
    ...params.getAll('project').map((project) => ({ project })),
  ];
  if (targets.length === 0) return { view: 'containers' };
  const range: LogRange = {};
  for (const name of ['since', 'until'] as const) {
    const value = params.get(name);
    if (value !== null && TIME.test(value)) range[name] = value;
  }
  return { view: 'logs', targets, range, place: parsePlace(params.get('line')) };
}

function parsePlace(text: string | null): LinePlace | undefined {
  const match = /^([A-Za-z0-9_.-]{1,255})@(-?\d{1,19})$/.exec(text ?? '');
  return match === null ? undefined : { container: match[1] ?? '', time: match[2] ?? '' };
}

export function logsHash(targets: readonly LogTarget[], range: LogRange = {}, place?: LinePlace): string {
  const params = new URLSearchParams();
  for (const target of targets) {
    for (const [name, value] of Object.entries(target)) params.append(name, value as string);
  }
  for (const [name, value] of Object.entries(range)) if (value !== undefined) params.append(name, value as string);
  if (place !== undefined) params.append('line', `${place.container}@${place.time}`);
  return `#/logs?${params}`;
}

export function shellHash(container: string): string {
  return `#/shell?${new URLSearchParams({ container })}`;
}
