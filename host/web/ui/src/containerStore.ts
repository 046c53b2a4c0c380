// The containers, as signals.

import { computed, signal } from '@preact/signals';
import type { DaemonClient } from './api/daemonClient';
import { ObjectWatch, type WatchStatus } from './api/objectWatch';
import { APP_PATH, CONTAINERS_PATH, projectOf, serviceOf, type AppObject, type Container } from './api/objects';

export interface ContainerGroup {
  project: string;
  containers: Container[];
}

// Hidden pages stop watching: browsers open six connections to one address, for all
// tabs together.
const HIDDEN_LIMIT = 20_000;
const APP_INTERVAL = 5_000;

export const filterText = signal('');
export const watchStatus = signal<{ status: WatchStatus; message: string | undefined }>({
  status: 'listing',
  message: undefined,
});
export const app = signal<AppObject | undefined>(undefined);
export const containers = signal<ReadonlyMap<string, Container>>(new Map());
export const hasListed = signal(false);

export const groups = computed(() => groupContainers(containers.value, filterText.value));

export function keyOf(container: Container): string {
  return `${container.metadata.namespace ?? ''}/${container.metadata.name}`;
}

/** Groups containers by Compose project, those of none last, sorted by name. */
export function groupContainers(
  all: ReadonlyMap<string, Container>,
  filter: string,
): ContainerGroup[] {
  const words = filter.toLowerCase().split(/\s+/).filter((word) => word !== '');
  const byProject = new Map<string, Container[]>();
  for (const container of all.values()) {
    const text = searchText(container);
    if (!words.every((word) => text.includes(word))) continue;
    const project = projectOf(container);
    const list = byProject.get(project);
    if (list === undefined) byProject.set(project, [container]);
    else list.push(container);
  }
  const name = (container: Container): string => container.status?.name ?? container.metadata.name;
  for (const list of byProject.values()) {
    list.sort((a, b) => compare(name(a), name(b)) || compare(a.metadata.name, b.metadata.name));
  }
  return [...byProject]
    .map(([project, list]) => ({ project, containers: list }))
    .sort((a, b) => (a.project === '' ? 1 : b.project === '' ? -1 : compare(a.project, b.project)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function searchText(container: Container): string {
  const { metadata, status } = container;
  return [
    status?.name, status?.imageName, status?.status, projectOf(container), serviceOf(container),
    metadata.name,
  ].join(' ').toLowerCase();
}

/** Keeps the signals up to date until the returned function is called. */
export function watchContainers(client: DaemonClient): () => void {
  const watch = new ObjectWatch<Container>({
    client,
    path: `${CONTAINERS_PATH}/containers`,
    onList: (objects) => {
      containers.value = new Map(objects.map((container) => [keyOf(container), container]));
      hasListed.value = true;
    },
    onEvents: (events) => {
      const next = new Map(containers.value);
      for (const { type, object } of events) {
        if (type === 'DELETED') next.delete(keyOf(object));
        else next.set(keyOf(object), object);
      }
      containers.value = next;
    },
    onStatus: (status, message) => {
      watchStatus.value = { status, message };
    },
  });
  const readApp = async (): Promise<void> => {
    try {
      app.value = (await (await client.request(APP_PATH)).json()) as AppObject;
    } catch {
      // The watch reports what is wrong.
    }
  };
  let hiding: ReturnType<typeof setTimeout> | undefined;
  const onVisibility = (): void => {
    clearTimeout(hiding);
    if (document.visibilityState === 'hidden') {
      hiding = setTimeout(() => watch.stop(), HIDDEN_LIMIT);
    } else {
      watch.start();
      void readApp();
    }
  };
  document.addEventListener('visibilitychange', onVisibility);
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') void readApp();
  }, APP_INTERVAL);
  onVisibility();
  return () => {
    document.removeEventListener('visibilitychange', onVisibility);
    clearInterval(timer);
    clearTimeout(hiding);
    watch.stop();
  };
}
