// The containers, as signals.

import { computed, signal } from '@preact/signals';
import { projectOf, serviceOf, type Container } from './api/objects';
import { ObjectStore } from './objectStore';

export interface ContainerGroup {
  project: string;
  containers: Container[];
}

export const filterText = signal('');
export const containerStore = new ObjectStore<Container>('containers');

export const groups = computed(() => groupContainers(containerStore.objects.value, filterText.value));

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

/** Returns the first containers of groups. */
export function firstContainers(all: readonly ContainerGroup[], limit: number): ContainerGroup[] {
  const result: ContainerGroup[] = [];
  let rest = limit;
  for (const group of all) {
    if (rest <= 0) break;
    // A group that is whole stays the same object.
    const isWhole = group.containers.length <= rest;
    result.push(isWhole ? group : { ...group, containers: group.containers.slice(0, rest) });
    rest -= group.containers.length;
  }
  return result;
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
