// The images and volumes of the engine.

import { computed } from '@preact/signals';
import type { ImageObject, VolumeObject } from './api/objects';
import { filterText } from './containerStore';
import { ObjectStore } from './objectStore';

export const imageStore = new ObjectStore<ImageObject>('images');
export const volumeStore = new ObjectStore<VolumeObject>('volumes');

export const shownImages = computed(() =>
  filterObjects([...imageStore.objects.value.values()], filterText.value, imageName, ({ status }) => status?.id ?? ''),
);
export const shownVolumes = computed(() =>
  filterObjects([...volumeStore.objects.value.values()], filterText.value, volumeName, ({ status }) => status?.driver ?? ''),
);

export function imageName({ metadata, status }: ImageObject): string {
  return status?.repoTag ?? `<none> ${shortId(status?.id ?? metadata.name)}`;
}

export function volumeName({ metadata, status }: VolumeObject): string {
  return status?.name ?? metadata.name;
}

/** Returns the first digits of an ID, as docker prints them. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

/** Returns the objects whose name or further text has all words of a filter, by name. */
export function filterObjects<T>(
  objects: T[],
  filter: string,
  name: (object: T) => string,
  further: (object: T) => string,
): T[] {
  const words = filter.toLowerCase().split(/\s+/);
  return objects
    .map((object) => ({ object, name: name(object), text: `${name(object)} ${further(object)}`.toLowerCase() }))
    .filter(({ text }) => words.every((word) => text.includes(word)))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ object }) => object);
}
