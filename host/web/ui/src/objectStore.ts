// The objects of one kind, as signals. One kind is watched at a time: browsers open
// six connections to one address, for all tabs together.

import { signal, type Signal } from '@preact/signals';
import type { DaemonClient } from './api/daemonClient';
import { ObjectWatch, type WatchStatus } from './api/objectWatch';
import { CONTAINERS_PATH, type KubeObject } from './api/objects';

// A page that nobody sees stops watching after this time.
const HIDDEN_LIMIT = 20_000;

/** The state of the watch of the kind that is shown. */
export const watchStatus = signal<{ status: WatchStatus; message: string | undefined }>({
  status: 'listing',
  message: undefined,
});

export function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

export class ObjectStore<T extends KubeObject> {
  readonly objects: Signal<ReadonlyMap<string, T>> = signal(new Map());
  readonly hasListed = signal(false);
  readonly #plural: string;
  #watch: ObjectWatch<T> | undefined;
  #client: DaemonClient | undefined;

  constructor(plural: string) {
    this.#plural = plural;
  }

  /** Keeps the signals up to date until the returned function is called. */
  watch(client: DaemonClient): () => void {
    // A watch of the same session goes on where it was.
    if (this.#client !== client) this.#watch = this.#create(client);
    this.#client = client;
    const watch = this.#watch;
    let hiding: ReturnType<typeof setTimeout> | undefined;
    const onVisibility = (): void => {
      clearTimeout(hiding);
      if (document.visibilityState === 'hidden') hiding = setTimeout(() => watch?.stop(), HIDDEN_LIMIT);
      else watch?.start();
    };
    document.addEventListener('visibilitychange', onVisibility);
    onVisibility();
    return () => {
      document.removeEventListener('visibilitychange', onVisibility);
      clearTimeout(hiding);
      watch?.stop();
    };
  }

  #create(client: DaemonClient): ObjectWatch<T> {
    return new ObjectWatch<T>({
      client,
      path: `${CONTAINERS_PATH}/${this.#plural}`,
      onList: (objects) => {
        this.objects.value = new Map(objects.map((object) => [keyOf(object), object]));
        this.hasListed.value = true;
      },
      onEvents: (events) => {
        const next = new Map(this.objects.value);
        for (const { type, object } of events) {
          if (type === 'DELETED') next.delete(keyOf(object));
          else next.set(keyOf(object), object);
        }
        this.objects.value = next;
      },
      onStatus: (status, message) => {
        watchStatus.value = { status, message };
      },
    });
  }
}
