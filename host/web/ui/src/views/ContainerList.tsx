import { useSignal } from '@preact/signals';
import { memo } from 'preact/compat';
import { useCallback, useEffect } from 'preact/hooks';
import { deleteObject, requestAction } from '../api/containerActions';
import type { DaemonClient } from '../api/daemonClient';
import type { ActionName, Container } from '../api/objects';
import { useClock } from '../clock';
import { containerStore, firstContainers, groups, type ContainerGroup } from '../containerStore';
import { execAccess, probeExec } from '../execAccess';
import { formatAge } from '../format';
import { keyOf } from '../objectStore';
import { logsHash } from '../route';
import { ConfirmDialog } from './ConfirmDialog';
import { ContainerRow, type ContainerRowProps } from './ContainerRow';
import { FilterInput } from './FilterInput';
import { Notices } from './Notices';
import { useIdleLayout } from './idleLayout';
import { useRowLimit } from './rowLimit';

// A connection has as many subscriptions.
const MAX_LOGS = 64;

export function ContainerList({ client }: { client: DaemonClient }) {
  const selected = useSignal<ReadonlySet<string>>(new Set());
  const failure = useSignal<string | undefined>(undefined);
  const deleting = useSignal<Container | undefined>(undefined);
  const now = useClock();
  const containers = containerStore.objects.value;
  const first = containers.values().next().value?.metadata.name;
  useEffect(() => {
    if (first !== undefined) void probeExec(client, first);
  }, [client, containers]);
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
  const chosen = [...selected.value].filter((key) => containers.has(key)).slice(0, MAX_LOGS);
  const doomed = deleting.value;
  const shown = groups.value;
  const total = shown.reduce((count, { containers: { length } }) => count + length, 0);
  const isGrouped = shown.length > 1 || shown[0]?.project !== '';
  const limit = useRowLimit(total);
  const table = useIdleLayout(limit === total);
  const remove = (container: Container): void => {
    failure.value = undefined;
    deleteObject(client, 'containers', container).catch((error: unknown) => {
      failure.value = describe(container, 'delete', error);
    });
  };
  return (
    <main>
      <h1 class="hidden">Containers</h1>
      <div class="toolbar">
        <FilterInput label="Filter containers" />
        {chosen.length === 0 ? null : (
          <a class="button" href={logsHash(chosen.map((key) => ({ container: key.split('/')[1] ?? '' })))}>
            Logs of {chosen.length} selected
          </a>
        )}
      </div>
      {failure.value === undefined ? null : <p class="failure" role="alert">{failure.value}</p>}
      <Notices client={client} />
      {total === 0 ? null : (
        // Also while the last rows are not drawn yet: a row for each container and group, and the titles.
        <table ref={table} class="containers rows-apart" aria-rowcount={1 + total + (isGrouped ? shown.length : 0)}>
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
          {firstContainers(shown, limit).map((group) => (
            <Group
              key={group.project}
              group={group}
              isTitled={isGrouped}
              selected={selected.value}
              now={now}
              hasShell={execAccess.value === 'possible'}
              onAction={onAction}
              onSelect={onSelect}
            />
          ))}
        </table>
      )}
      {doomed === undefined ? null : (
        <ConfirmDialog
          title={`Delete ${doomed.status?.name ?? doomed.metadata.name}?`}
          action="Delete"
          onConfirm={() => remove(doomed)}
          onClose={() => (deleting.value = undefined)}
        >
          The engine removes the container{isRunning(doomed) ? ', which is running,' : ''} and its log. Volumes stay.
          This cannot be undone.
        </ConfirmDialog>
      )}
    </main>
  );
}

interface GroupProps {
  group: ContainerGroup;
  /** Whether its project is shown above it. */
  isTitled: boolean;
  selected: ReadonlySet<string>;
  now: number;
  hasShell: boolean;
  onAction: ContainerRowProps['onAction'];
  onSelect: ContainerRowProps['onSelect'];
}

function ContainerRows({ group, isTitled, selected, now, hasShell, onAction, onSelect }: GroupProps) {
  const { project, containers } = group;
  return (
    <tbody>
      {!isTitled ? null : (
        <tr class="group">
          <th colSpan={7} scope="rowgroup">
            {project === '' ? 'No project' : project}
            {project === '' ? null : <a href={logsHash([{ project }])}>Logs</a>}
          </th>
        </tr>
      )}
      {containers.map((container) => (
        <Row
          key={keyOf(container)}
          container={container}
          isSelected={selected.has(keyOf(container))}
          age={formatAge(container.status?.createdAt, now)}
          hasShell={hasShell}
          onAction={onAction}
          onSelect={onSelect}
        />
      ))}
    </tbody>
  );
}

// While rows are added, groups that are whole are not compared again.
const Group = memo(ContainerRows);
// A change of one container draws one row.
const Row = memo(ContainerRow);

function isRunning({ status }: Container): boolean {
  return status?.status === 'running' || status?.status === 'paused';
}

function describe(container: Container, action: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `Cannot ${action} ${container.status?.name ?? container.metadata.name}: ${message}`;
}
