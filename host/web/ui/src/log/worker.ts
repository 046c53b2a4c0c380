// The worker of a log.

import { LogSession } from './logSession';
import type { WorkerReply, WorkerRequest } from './workerMessages';

interface WorkerScope {
  onmessage: ((event: MessageEvent<WorkerRequest>) => void) | null;
  postMessage(reply: WorkerReply): void;
}

const scope = self as unknown as WorkerScope;
let session: LogSession | undefined;

scope.onmessage = ({ data }) => {
  if (data.type === 'open') {
    session?.close();
    session = new LogSession(data, (reply) => scope.postMessage(reply));
  } else {
    session?.handle(data);
  }
};
