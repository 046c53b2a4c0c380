import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { RequestError, type DaemonClient } from '../api/daemonClient';
import { containerStore } from '../containerStore';
import { logsHash } from '../route';
import { shellPath } from '../shell/execMessages';
import { ShellSession } from '../shell/shellSession';

type ShellState = 'connecting' | 'open' | 'ended';

export function ShellView({ container, client, token }: { container: string; client: DaemonClient; token: string }) {
  const place = useRef<HTMLDivElement>(null);
  const state = useSignal<ShellState>('connecting');
  const text = useSignal('');
  const attempt = useSignal(0);
  useEffect(() => {
    let session: ShellSession | undefined;
    let isGone = false;
    const begin = async (): Promise<void> => {
      const { openTerminal } = await import('../shell/terminal');
      const element = place.current;
      if (isGone || element === null) return;
      session = new ShellSession({
        token,
        container,
        open: (handlers) => openTerminal(element, handlers),
        onState: (isOpen, reason) => {
          state.value = isOpen ? 'open' : 'ended';
          text.value = reason;
          if (!isOpen && reason === '') void explain(client, container).then((found) => (text.value = found));
        },
      });
    };
    state.value = 'connecting';
    text.value = '';
    begin().catch((error: unknown) => {
      state.value = 'ended';
      text.value = `the terminal cannot be loaded: ${error instanceof Error ? error.message : String(error)}`;
    });
    return () => {
      isGone = true;
      session?.close();
    };
  }, [container, token, attempt.value]);
  const name = findName(container);
  return (
    <main class="shell-view">
      <div class="toolbar">
        <a class="button" href="#/" aria-label="Back to the containers">←</a>
        <h1 class="title">Shell in {name}</h1>
        <a class="button" href={logsHash([{ container }])}>logs</a>
        {state.value === 'ended' ? <button type="button" onClick={() => (attempt.value += 1)}>New shell</button> : null}
        <span class={state.value === 'ended' ? 'problem' : 'quiet'} role="status">
          {state.value === 'connecting' ? 'connecting…' : text.value}
        </span>
      </div>
      <div ref={place} class="terminal-place" />
    </main>
  );
}

function findName(container: string): string {
  for (const { metadata, status } of containerStore.objects.value.values()) {
    if (metadata.name === container) return status?.name ?? container.slice(0, 12);
  }
  return container.slice(0, 12);
}

/** Asks with a plain request why a shell could not be opened, which browsers hide. */
async function explain(client: DaemonClient, container: string): Promise<string> {
  try {
    await client.request(shellPath(container));
  } catch (error) {
    if (error instanceof RequestError && error.status !== 426) return error.message;
  }
  return 'the connection failed';
}
