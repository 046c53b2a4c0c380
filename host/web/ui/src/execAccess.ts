// Whether processes can be run in containers, and so whether there is a shell. The
// daemon rejects them in read-only mode, and some backends and users cannot run them.

import { signal } from '@preact/signals';
import { RequestError, type DaemonClient } from './api/daemonClient';

export type ExecAccess = 'unknown' | 'possible' | 'impossible';

export const execAccess = signal<ExecAccess>('unknown');

let isProbing = false;

/** Asks with a plain request, which starts nothing, unless the answer is known. */
export async function probeExec(client: DaemonClient, container: string): Promise<void> {
  if (isProbing || execAccess.value !== 'unknown') return;
  isProbing = true;
  try {
    await client.request(`/passthrough/engine/exec/${encodeURIComponent(container)}?command=sh`);
  } catch (error) {
    const status = error instanceof RequestError ? error.status : 0;
    // 426 asks for a WebSocket, and 409 for a container that runs.
    if (status === 403 || status === 501) execAccess.value = 'impossible';
    else if (status === 426 || status === 409) execAccess.value = 'possible';
  } finally {
    isProbing = false;
  }
}
