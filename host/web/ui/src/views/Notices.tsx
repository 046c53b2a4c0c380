// What is wrong, and what helps.

import type { ComponentChildren } from 'preact';
import { useSignal } from '@preact/signals';
import type { DaemonClient } from '../api/daemonClient';
import type { AppObject, ObjectCondition } from '../api/objects';
import { app, startMirroring } from '../appStore';
import { capitalize } from '../format';
import { containerStore, filterText, groups } from '../containerStore';
import { imageStore, shownImages, shownVolumes, volumeStore } from '../imageStore';
import { watchStatus } from '../objectStore';
import { route } from '../currentRoute';

export interface NoticeText {
  title: string;
  detail?: string | undefined;
  commands?: string[];
  /** Whether the page can repair it: by switching mirroring on. */
  canStart?: boolean;
}

/** Returns what to say about an App that is not as it should be. */
export function appNotice(object: AppObject | undefined): NoticeText | undefined {
  const conditions = object?.status?.conditions ?? [];
  const ready = conditions.find(({ type }) => type === 'ContainerEngineReady');
  if (object?.spec?.running === false) {
    return {
      title: 'Mirroring is switched off',
      detail: 'The App has spec.running: false. Containers are left alone, and none is shown.',
      canStart: true,
    };
  }
  if (ready === undefined || ready.status === 'True') return undefined;
  return engineNotice(ready);
}

/** Whether the daemon has given up on a backend, which has the same reason as one that is missing. */
function isParked(message: string): boolean {
  return message.includes('times in a row');
}

function engineNotice({ reason, message }: ObjectCondition): NoticeText {
  switch (reason) {
    case 'BackendNotInstalled':
      return isParked(message)
        ? { title: 'The backend failed too often and was stopped', detail: message, commands: ['rdd plugin list', 'rdd serve'] }
        : {
            title: 'The backend for this engine cannot be used',
            detail: message,
            commands: ['rdd plugin list', 'rdd plugin install …'],
          };
    case 'ConnectFailed':
      return {
        title: 'The engine cannot be reached',
        detail: `${message}. Is it running? The daemon keeps trying.`,
        commands: ['docker info', 'rdd serve --engine-endpoint URL'],
      };
    case 'PluginFailed':
      // A backend that is being loaded has the same reason as one that is restarted.
      if (message.includes('being loaded')) return { title: 'The backend is being loaded', detail: message };
      return { title: 'The backend failed and is restarted', detail: message, commands: ['rdd plugin list'] };
    default:
      return { title: 'The engine is not ready', detail: message === '' ? reason : message };
  }
}

/** What is wrong with the connection, the engine, or the list that is shown. */
export function Notices({ client }: { client: DaemonClient }) {
  const { status, message } = watchStatus.value;
  if (status === 'gone') {
    return (
      <Notice
        title="The daemon cannot be reached"
        detail="It was stopped, or it is starting again. This page keeps trying; a daemon that was restarted needs a new session."
        commands={['rdd status', 'rdd serve', 'rdd dashboard']}
      />
    );
  }
  if (status === 'failed') {
    return (
      <Notice
        title="The objects cannot be read"
        detail={`${message ?? ''}. With a cluster (--kubeconfig), the objects are in that cluster, and the page shows logs only.`}
        commands={['rdd status']}
      />
    );
  }
  const notice = appNotice(app.value);
  if (notice !== undefined) {
    return (
      <Notice {...notice}>
        {notice.canStart === true ? <StartButton client={client} /> : null}
      </Notice>
    );
  }
  const list = currentList();
  if (list === undefined) return null;
  if (!list.hasListed) return <p class="quiet" role="status">Reading the {list.plural}…</p>;
  if (list.total === 0) {
    return (
      <Notice
        title={`There are no ${list.plural}`}
        detail="They appear here as soon as the engine has one."
        commands={[list.command]}
      />
    );
  }
  if (list.shown === 0) {
    return <p class="quiet" role="status">Nothing matches “{filterText.value}”.</p>;
  }
  return null;
}

interface ListCensus {
  plural: string;
  hasListed: boolean;
  total: number;
  shown: number;
  /** A command that makes one. */
  command: string;
}

function currentList(): ListCensus | undefined {
  const census = (
    store: { objects: { value: ReadonlyMap<string, unknown> }; hasListed: { value: boolean } },
    plural: string,
    shown: number,
    command: string,
  ): ListCensus => ({ plural, hasListed: store.hasListed.value, total: store.objects.value.size, shown, command });
  switch (route.value.view) {
    case 'containers':
      return census(
        containerStore, 'containers', groups.value.length,
        'docker run --rm -d --name hello busybox sh -c "while :; do date; sleep 1; done"',
      );
    case 'images':
      return census(imageStore, 'images', shownImages.value.length, 'docker pull busybox');
    case 'volumes':
      return census(volumeStore, 'volumes', shownVolumes.value.length, 'docker volume create data');
    default:
      return undefined;
  }
}

function StartButton({ client }: { client: DaemonClient }) {
  const failure = useSignal('');
  return (
    <>
      <button
        type="button"
        onClick={() => {
          startMirroring(client).catch((error: unknown) => {
            failure.value = error instanceof Error ? error.message : String(error);
          });
        }}
      >
        Switch mirroring on
      </button>
      {failure.value === '' ? null : <p class="failure" role="alert">{failure.value}</p>}
    </>
  );
}

export function Notice({ title, detail, commands = [], children }: NoticeText & { children?: ComponentChildren }) {
  return (
    <section class="notice" role="status">
      <h2>{title}</h2>
      {detail === undefined ? null : <p>{capitalize(detail)}</p>}
      {children}
      {commands.map((command) => <pre key={command} tabIndex={0}>{command}</pre>)}
    </section>
  );
}
