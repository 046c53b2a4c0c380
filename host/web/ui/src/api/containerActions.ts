// Actions and deletions, through the API: an annotation requests an action, and the
// status reports its outcome.

import { RequestError, type DaemonClient } from './daemonClient';
import { ACTION_ANNOTATION, CONTAINERS_PATH, type ActionName, type Container } from './objects';

export async function requestAction(
  client: DaemonClient,
  container: Container,
  action: ActionName,
): Promise<void> {
  if (container.metadata.annotations?.[ACTION_ANNOTATION] !== undefined) {
    throw new RequestError(409, 'another action on this container has not ended yet');
  }
  await client.request(pathOf(container), {
    method: 'PATCH',
    headers: { 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({
      metadata: {
        // Fails if there is an action meanwhile, instead of replacing it.
        resourceVersion: container.metadata.resourceVersion,
        annotations: { [ACTION_ANNOTATION]: action },
      },
    }),
  });
}

/** Deletes a container, unless it is another one of the same name by now. */
export async function deleteContainer(client: DaemonClient, container: Container): Promise<void> {
  await client.request(pathOf(container), {
    method: 'DELETE',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      preconditions: { uid: container.metadata.uid },
    }),
  });
}

function pathOf(container: Container): string {
  const { name, namespace = '' } = container.metadata;
  return `${CONTAINERS_PATH}/namespaces/${encodeURIComponent(namespace)}/containers/${encodeURIComponent(name)}`;
}
