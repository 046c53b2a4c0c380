// The page's side of the worker of a log.

import type { WorkerReply, WorkerRequest } from './workerMessages';

interface ScriptUrlPolicy {
  createScriptURL(url: string): string;
}

// The page's policy requires that URLs of scripts are made here.
const policy: ScriptUrlPolicy =
  (globalThis as { trustedTypes?: { createPolicy(name: string, rules: ScriptUrlPolicy): ScriptUrlPolicy } })
    .trustedTypes?.createPolicy('rdd-worker', { createScriptURL: (url) => url }) ??
  { createScriptURL: (url) => url };

export class LogConnection {
  readonly #worker: Worker;

  constructor(onReply: (reply: WorkerReply) => void) {
    const url = policy.createScriptURL(new URL('worker.js', document.baseURI).href);
    this.#worker = new Worker(url, { type: 'module' });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerReply>) => {
      if (data.type === 'update') this.send({ type: 'taken' });
      onReply(data);
    };
  }

  send(request: WorkerRequest): void {
    this.#worker.postMessage(request);
  }

  close(): void {
    this.#worker.terminate();
  }
}
