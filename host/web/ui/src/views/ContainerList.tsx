import { useSignal, type Signal } from '@preact/signals';
import { memo } from 'preact/compat';
import { useCallback, useEffect, useRef } from 'preact/hooks';
import { deleteContainer, requestAction } from '../api/containerActions';
import type { DaemonClient } from '../api/daemonClient';
import type { ActionName, Container } from '../api/objects';
import { containers, filterText, groups, keyOf } from '../containerStore';
import { logsHash } from '../route';
import { ContainerRow } from './ContainerRow';
import { Notices } from './Notices';

// A connection has as many subscriptions.
const MAX_LOGS = 64;

export function ContainerList({ client }: { client: DaemonClient }) {
  const selected = useSignal<ReadonlySet<string>>(new Set());
  const failure = useSignal<string | undefined>(undefined);
  const deleting = useSignal<Container | undefined>(undefined);
  const now = useClock();
  const filter = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focusFilter = (event: KeyboardEvent): void => {
      if (event.key !== '/' || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      filter.current?.focus();
    };
    addEventListener('keydown', focusFilter);
    return () => removeEventListener('keydown', focusFilter);
  }, []);
  const onAction = useCallback(
    (container: Container, action: ActionName | 'delete') => {
      if (action === 'delete') {
        deleting.value = container;
        return;
      }
      failure.value = undefined;
      requestAction(client, container, action).catch((error: unknown) => {
        failure.value = describe(container, action, error);
      });
    },
    [client],
  );
  const onSelect = useCallback((key: string, isSelected: boolean) => {
    const next = new Set(selected.value);
    if (isSelected) next.add(key);
    else next.delete(key);
    selected.value = next;
  }, []);
  const chosen = [...selected.value].filter((key) => containers.value.has(key)).slice(0, MAX_LOGS);
  return (
    <main>
      <div class="toolbar">
        <input
          ref={filter}
          type="search"
          aria-label="Filter containers"
          placeholder="Filter (press /)"
          value={filterText.value}
          onInput={(event) => (filterText.value = event.currentTarget.value)}
        />
        {chosen.length === 0 ? null : (
          <a class="button" href={logsHash(chosen.map((key) => ({ container: key.split('/')[1] ?? '' })))}>
            Logs of {chosen.length} selected
          </a>
        )}
      </div>
      {failure.value === undefined ? null : <p class="failure" role="alert">{failure.value}</p>}
      <Notices />
      {groups.value.length === 0 ? null : (
        <table class="containers">
          <thead>
            <tr>
              <th><span class="hidden">Select</span></th>
              <th>Name</th>
              <th>Image</th>
              <th>State</th>
              <th>Ports</th>
              <th>Age</th>
              <th><span class="hidden">Actions</span></th>
            </tr>
          </thead>
          {groups.value.map(({ project, containers: members }) => (
            <tbody key={project}>
              {project === '' && groups.value.length === 1 ? null : (
                <tr class="group">
                  <th colSpan={7} scope="rowgroup">
                    {project === '' ? 'No project' : project}
                    {project === '' ? null : <a href={logsHash([{ project }])}>Logs</a>}
                  </th>
                </tr>
              )}
              {members.map((container) => (
                <Row
                  key={keyOf(container)}
                  container={container}
                  isSelected={selected.value.has(keyOf(container))}
                  now={now}
                  onAction={onAction}
                  onSelect={onSelect}
                />
              ))}
            </tbody>
          ))}
        </table>
      )}
      <DeleteDialog client={client} deleting={deleting} failure={failure} />
    </main>
  );
}

// A change of one container draws one row.
const Row = memo(ContainerRow);

interface DeleteDialogProps {
  client: DaemonClient;
  deleting: Signal<Container | undefined>;
  failure: Signal<string | undefined>;
}

function DeleteDialog({ client, deleting, failure }: DeleteDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const container = deleting.value;
  useEffect(() => {
    if (container !== undefined) dialog.current?.showModal();
  }, [container]);
  const close = (): void => {
    dialog.current?.close();
    deleting.value = undefined;
  };
  const confirm = (): void => {
    close();
    if (container === undefined) return;
    deleteContainer(client, container).catch((error: unknown) => {
      failure.value = describe(container, 'delete', error);
    });
  };
  const isRunning = container?.status?.status === 'running' || container?.status?.status === 'paused';
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="delete-title">
      <h2 id="delete-title">Delete {container?.status?.name}?</h2>
      <p>
        The engine removes the container{isRunning ? ', which is running,' : ''} and its log. Volumes stay. This
        cannot be undone.
      </p>
      <div class="dialog-buttons">
        <button type="button" autofocus onClick={close}>Cancel</button>
        <button type="button" class="danger" onClick={confirm}>Delete</button>
      </div>
    </dialog>
  );
}

function describe(container: Container, action: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `Cannot ${action} ${container.status?.name ?? container.metadata.name}: ${message}`;
}

/** Returns the time, twice a minute: ages are in minutes soon. */
function useClock(): number {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return now.value;
}
