import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { deleteObject, type ObjectPlural } from '../api/containerActions';
import type { DaemonClient } from '../api/daemonClient';
import type { KubeObject, ObjectCondition } from '../api/objects';
import { keyOf } from '../objectStore';
import { ConfirmDialog } from './ConfirmDialog';
import { FilterInput } from './FilterInput';
import { Notices } from './Notices';
import { useIdleLayout } from './idleLayout';
import { useRowLimit } from './rowLimit';

type DeletableObject = KubeObject & { status?: { conditions?: ObjectCondition[] } };

export interface ObjectTableProps<T extends DeletableObject> {
  client: DaemonClient;
  plural: ObjectPlural;
  objects: T[];
  columns: { title: string; className?: string; cell(object: T): ComponentChildren }[];
  name(object: T): string;
  /** What a deletion does, as a sentence. */
  consequence: string;
}

/** A table of objects that can be deleted. The first column is the name. */
export function ObjectTable<T extends DeletableObject>(props: ObjectTableProps<T>) {
  const { client, plural, objects, columns, name } = props;
  const failure = useSignal<string | undefined>(undefined);
  const deleting = useSignal<T | undefined>(undefined);
  const onConfirm = (object: T): void => {
    failure.value = undefined;
    deleteObject(client, plural, object).catch((error: unknown) => {
      failure.value = `Cannot delete ${name(object)}: ${error instanceof Error ? error.message : String(error)}`;
    });
  };
  const chosen = deleting.value;
  const limit = useRowLimit(objects.length);
  const table = useIdleLayout(limit === objects.length);
  return (
    <main>
      <h1 class="hidden">{plural}</h1>
      <div class="toolbar"><FilterInput label={`Filter ${plural}`} /></div>
      {failure.value === undefined ? null : <p class="failure" role="alert">{failure.value}</p>}
      <Notices client={client} />
      {objects.length === 0 ? null : (
        <table ref={table} class="objects rows-apart" aria-rowcount={1 + objects.length}>
          <thead>
            <tr>
              <th>Name</th>
              {columns.map(({ title }) => <th key={title}>{title}</th>)}
              <th><span class="hidden">Actions</span></th>
            </tr>
          </thead>
          <tbody>
            {objects.slice(0, limit).map((object) => (
              <tr key={keyOf(object)}>
                <td class="name">
                  {name(object)}
                  <RefusedDeletion object={object} />
                </td>
                {columns.map(({ title, className, cell }) => <td key={title} class={className}>{cell(object)}</td>)}
                <td class="actions">
                  <button
                    type="button"
                    class="danger"
                    aria-label={`delete ${name(object)}`}
                    disabled={object.metadata.deletionTimestamp !== undefined}
                    onClick={() => (deleting.value = object)}
                  >
                    delete
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {chosen === undefined ? null : (
        <ConfirmDialog
          title={`Delete ${name(chosen)}?`}
          action="Delete"
          onConfirm={() => onConfirm(chosen)}
          onClose={() => (deleting.value = undefined)}
        >
          {props.consequence} This cannot be undone.
        </ConfirmDialog>
      )}
    </main>
  );
}

function RefusedDeletion({ object }: { object: DeletableObject }) {
  const refused = object.status?.conditions?.find(({ type, status }) => type === 'DeleteFailed' && status === 'True');
  return refused === undefined ? null : <div class="problem">delete failed: {refused.message}</div>;
}
