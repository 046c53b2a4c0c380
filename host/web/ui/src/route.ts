// The place in the page is in the fragment: the list, or logs of containers or of a
// Compose project.

import { signal } from '@preact/signals';
import type { LogTarget } from './log/muxMessages';

export type PageRoute = { view: 'containers' } | { view: 'logs'; targets: LogTarget[] };

export function parseRoute(hash: string): PageRoute {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?');
  if (path !== '/logs') return { view: 'containers' };
  const params = new URLSearchParams(query);
  const targets: LogTarget[] = [
    ...params.getAll('container').map((container) => ({ container })),
    ...params.getAll('project').map((project) => ({ project })),
  ];
  return targets.length === 0 ? { view: 'containers' } : { view: 'logs', targets };
}

export function logsHash(targets: readonly LogTarget[]): string {
  const params = new URLSearchParams();
  for (const target of targets) {
    for (const [name, value] of Object.entries(target)) params.append(name, value as string);
  }
  return `#/logs?${params}`;
}

export const route = signal<PageRoute>(parseRoute(location.hash));

addEventListener('hashchange', () => {
  route.value = parseRoute(location.hash);
});
