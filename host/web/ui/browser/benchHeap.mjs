// The heap of a page and of its worker, as the browser reports it.

import { once } from 'node:events';

/** Returns the bytes of objects and of array buffers after a collection. */
export async function heapBytes(page) {
  const session = await page.context().newCDPSession(page);
  try {
    let total = await usage((method) => session.send(method));
    const workers = [];
    session.on('Target.attachedToTarget', ({ sessionId }) => workers.push(sessionId));
    // Workers have no sessions of their own here: messages to them are wrapped.
    await session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
    if (workers.length !== 1) throw new Error(`the page has ${workers.length} workers`);
    let id = 0;
    total += await usage(async (method) => {
      id += 1;
      await session.send('Target.sendMessageToTarget', { sessionId: workers[0], message: JSON.stringify({ id, method }) });
      for (;;) {
        const [{ message }] = await once(session, 'Target.receivedMessageFromTarget');
        const answer = JSON.parse(message);
        if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
        if (answer.id === id) return answer.result;
      }
    });
    return total;
  } finally {
    await session.detach();
  }
}

async function usage(send) {
  await send('HeapProfiler.collectGarbage');
  const { usedSize, backingStorageSize } = await send('Runtime.getHeapUsage');
  return usedSize + backingStorageSize;
}
