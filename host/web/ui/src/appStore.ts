// The App: which engine is mirrored, and how it is.

import { signal } from '@preact/signals';
import type { DaemonClient } from './api/daemonClient';
import { APP_PATH, type AppObject } from './api/objects';

// It is one small object, and a watch would take a connection of the browser's six.
const INTERVAL = 5_000;
// Until the engine is ready, people look at what the App says.
const WAITING_INTERVAL = 1_000;

// Timers fire a little early or late.
const TOLERANCE = 100;

export const app = signal<AppObject | undefined>(undefined);

/** Reads the App now and then, until the returned function is called. */
export function pollApp(client: DaemonClient): () => void {
  let lastRead = 0;
  const read = async (): Promise<void> => {
    const interval = isReady(app.value) ? INTERVAL : WAITING_INTERVAL;
    if (document.visibilityState === 'hidden' || Date.now() - lastRead < interval - TOLERANCE) return;
    lastRead = Date.now();
    try {
      app.value = (await (await client.request(APP_PATH)).json()) as AppObject;
    } catch {
      // The watch reports what is wrong.
    }
  };
  const onVisibility = (): void => void read();
  document.addEventListener('visibilitychange', onVisibility);
  const timer = setInterval(onVisibility, WAITING_INTERVAL);
  void read();
  return () => {
    document.removeEventListener('visibilitychange', onVisibility);
    clearInterval(timer);
  };
}

function isReady(object: AppObject | undefined): boolean {
  const conditions = object?.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === 'ContainerEngineReady' && status === 'True');
}

/** Switches mirroring on. */
export async function startMirroring(client: DaemonClient): Promise<void> {
  const response = await client.request(APP_PATH, {
    method: 'PATCH',
    headers: { 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({ spec: { running: true } }),
  });
  app.value = (await response.json()) as AppObject;
}
