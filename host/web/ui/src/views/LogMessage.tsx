import type { LogState } from '../log/logState';
import { Notice, type NoticeText } from './Notices';

/** What is wrong with a log, or why it is empty. */
export function LogMessage({ state, isFiltered }: { state: LogState; isFiltered: boolean }) {
  const { status, message, code, total, loaded, sources } = state;
  if (message !== undefined && loaded === 0) return <Notice {...logNotice(code, message)} />;
  if (message !== undefined) return <p class="failure" role="alert">{message}</p>;
  if (total > 0 || (status !== 'open' && status !== 'closed')) return null;
  if (isFiltered && loaded > 0) return <p class="quiet" role="status">The filters leave no line of this log.</p>;
  if (status === 'closed') return <p class="quiet" role="status">There are no lines in this range.</p>;
  return (
    <p class="quiet" role="status">
      {sources.length === 0 ? 'Waiting for a container…' : 'Nothing was written to this log yet.'}
    </p>
  );
}

/** Returns what to say about a log that the daemon rejects. */
export function logNotice(code: number | undefined, message: string): NoticeText {
  switch (code) {
    case 404:
      return { title: 'There is no such container', detail: `${message}. It was deleted, or the link is an old one.` };
    case 501:
      return message.includes('cannot read the log of container')
        ? {
            title: 'The log of this container cannot be read',
            detail: `${message}. Docker reads the logs of the drivers json-file, local, and journald alone.`,
            commands: ['docker run --log-driver json-file …'],
          }
        : {
            title: 'Logs cannot be read',
            detail: message,
            commands: ['rdd plugin list', 'rdd plugin install …'],
          };
    case 502:
    case 503:
      return { title: 'The engine cannot be reached', detail: `${message}. This page keeps trying.`, commands: ['docker info'] };
    case 429:
      return { title: 'Too many logs are open', detail: message };
    default:
      return { title: 'The log cannot be read', detail: message };
  }
}
