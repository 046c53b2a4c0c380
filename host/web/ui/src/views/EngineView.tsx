import type { DaemonClient } from '../api/daemonClient';
import type { ObjectCondition } from '../api/objects';
import { app } from '../appStore';
import { execAccess } from '../execAccess';
import { Notices } from './Notices';

/** The engine that is mirrored, and its backend, with a sentence for each condition. */
export function EngineView({ client }: { client: DaemonClient }) {
  const object = app.value;
  const conditions = object?.status?.conditions ?? [];
  return (
    <main>
      <h1 class="hidden">Engine</h1>
      <Notices client={client} />
      <div class="engine">
        {object === undefined ? <p class="quiet" role="status">Reading the App…</p> : (
          <dl>
            <dt>Backend</dt>
            <dd>{object.spec?.containerEngine?.name ?? 'moby'}</dd>
            <dt>Namespace of the objects</dt>
            <dd>{object.spec?.namespace ?? ''}</dd>
            <dt>Processes in containers</dt>
            <dd>{execText()}</dd>
            {conditions.map((condition) => <Condition key={condition.type} condition={condition} />)}
          </dl>
        )}
        <p class="quiet">The plugins are files of the daemon, which these commands list and install:</p>
        <pre tabIndex={0}>rdd plugin list{'\n'}rdd plugin install …</pre>
      </div>
    </main>
  );
}

function Condition({ condition }: { condition: ObjectCondition }) {
  const { type, status, reason, message } = condition;
  return (
    <>
      <dt>{type}</dt>
      <dd>
        <span class={`badge ${status === 'True' ? 'running' : 'dead'}`}>{status === 'True' ? 'yes' : status === 'False' ? 'no' : 'unknown'}</span>
        {` ${reason}`}
        {message === '' ? null : <div>{message}</div>}
      </dd>
    </>
  );
}

function execText(): string {
  switch (execAccess.value) {
    case 'possible':
      return 'possible';
    case 'impossible':
      return 'rejected: the daemon runs with --read-only, you may not, or the backend cannot';
    default:
      return 'not known until there is a container';
  }
}
