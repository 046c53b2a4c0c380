import { ACTION_ANNOTATION, possibleActions, type ActionName, type Container } from '../api/objects';
import { keyOf } from '../objectStore';
import { logsHash, shellHash } from '../route';

export interface ContainerRowProps {
  container: Container;
  isSelected: boolean;
  age: string;
  /** Whether processes can be run in containers. */
  hasShell: boolean;
  onAction(container: Container, action: ActionName | 'delete'): void;
  onSelect(key: string, isSelected: boolean): void;
}

export function ContainerRow({ container, isSelected, age, hasShell, onAction, onSelect }: ContainerRowProps) {
  const { metadata, status } = container;
  const name = status?.name ?? metadata.name;
  const state = metadata.deletionTimestamp === undefined ? (status?.status ?? 'unknown') : 'removing';
  const requested = metadata.annotations?.[ACTION_ANNOTATION];
  return (
    <tr aria-label={name}>
      <td class="select">
        <input
          type="checkbox"
          aria-label={`Select ${name}`}
          checked={isSelected}
          onChange={(event) => onSelect(keyOf(container), event.currentTarget.checked)}
        />
      </td>
      <td class="name">
        <a href={logsHash([{ container: metadata.name }])} title="Logs">{name}</a>
        <Problem container={container} />
      </td>
      <td class="image" title={status?.image}>{status?.imageName ?? ''}</td>
      <td class="state">
        <span class={`badge ${state}`}>{state}</span>
        {state === 'exited' ? <span class="quiet"> ({status?.exitCode ?? 0})</span> : null}
        {requested === undefined ? null : <span class="quiet"> {requested}…</span>}
      </td>
      <td class="ports"><PortLinks container={container} /></td>
      <td class="age" title={status?.createdAt}>{age}</td>
      <td class="actions">
        {hasShell && state === 'running' ? (
          <a class="button" href={shellHash(metadata.name)} aria-label={`shell ${name}`}>shell</a>
        ) : null}
        {possibleActions(state).map((action) => (
          <button
            key={action}
            type="button"
            disabled={requested !== undefined}
            aria-label={`${action} ${name}`}
            onClick={() => onAction(container, action)}
          >
            {action}
          </button>
        ))}
        <button
          type="button"
          class="danger"
          disabled={state === 'removing'}
          aria-label={`delete ${name}`}
          onClick={() => onAction(container, 'delete')}
        >
          delete
        </button>
      </td>
    </tr>
  );
}

/** The last thing that failed. */
function Problem({ container }: { container: Container }) {
  const { status } = container;
  const last = status?.lastAction;
  const refused = status?.conditions?.find(({ type }) => type === 'DeleteFailed');
  const text =
    refused?.status === 'True' ? `delete failed: ${refused.message}`
    : last?.state === 'Failed' ? `${last.action} failed: ${last.error ?? ''}`
    : (status?.error ?? '');
  return text === '' ? null : <div class="problem">{text}</div>;
}

function PortLinks({ container }: { container: Container }) {
  const links = (container.status?.ports ?? []).flatMap(({ name, bindings = [] }) =>
    // IPv4 and IPv6 have a binding each.
    [...new Set(bindings.map(({ hostPort = '' }) => hostPort))].map((port) => ({ name, port })),
  );
  return (
    <>
      {links.map(({ name, port }) => {
        const [inside = '', protocol = ''] = name.split('/');
        const text = `${port}→${inside}`;
        return protocol === 'tcp' && /^\d+$/.test(port) ? (
          <a key={text} href={`http://localhost:${port}/`} target="_blank" rel="noopener noreferrer">{text}</a>
        ) : (
          <span key={name + port}>{text}/{protocol}</span>
        );
      })}
    </>
  );
}
