// What is wrong, and what helps.

import { app, containers, filterText, groups, hasListed, watchStatus } from '../containerStore';
import type { AppObject, ObjectCondition } from '../api/objects';

export interface NoticeText {
  title: string;
  detail?: string | undefined;
  commands?: string[];
}

/** Returns what to say about an App that is not as it should be. */
export function appNotice(object: AppObject | undefined): NoticeText | undefined {
  const conditions = object?.status?.conditions ?? [];
  const ready = conditions.find(({ type }) => type === 'ContainerEngineReady');
  if (object?.spec?.running === false) {
    return {
      title: 'Mirroring is switched off',
      detail: 'The App has spec.running: false. Containers are left alone, and none is shown.',
      commands: ["rdd ctl patch app app --type merge -p '{\"spec\":{\"running\":true}}'"],
    };
  }
  if (ready === undefined || ready.status === 'True') return undefined;
  return engineNotice(ready);
}

function engineNotice({ reason, message }: ObjectCondition): NoticeText {
  switch (reason) {
    case 'BackendNotInstalled':
      return {
        title: 'The backend for this engine is not installed',
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
      return { title: 'The backend failed and is restarted', detail: message, commands: ['rdd plugin list'] };
    default:
      return { title: 'The engine is not ready', detail: message === '' ? reason : message };
  }
}

export function Notices() {
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
    return <Notice title="The objects cannot be read" detail={message} commands={['rdd status']} />;
  }
  const notice = appNotice(app.value);
  if (notice !== undefined) return <Notice {...notice} />;
  if (!hasListed.value) return <p class="quiet" role="status">Reading the containers…</p>;
  if (containers.value.size === 0) {
    return (
      <Notice
        title="There are no containers"
        detail="They appear here as soon as the engine has one."
        commands={['docker run --rm -d --name hello busybox sh -c "while :; do date; sleep 1; done"']}
      />
    );
  }
  if (groups.value.length === 0) {
    return <p class="quiet" role="status">No container matches “{filterText.value}”.</p>;
  }
  return null;
}

export function Notice({ title, detail, commands = [] }: NoticeText) {
  return (
    <section class="notice" role="status">
      <h2>{title}</h2>
      {detail === undefined ? null : <p>{detail}</p>}
      {commands.map((command) => <pre key={command}>{command}</pre>)}
    </section>
  );
}
