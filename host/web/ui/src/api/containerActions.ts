// Actions and deletions, through the API: an annotation requests an action, and the
// status reports its outcome.

import { RequestError, type DaemonClient } from './daemonClient';
import { ACTION_ANNOTATION, CONTAINERS_PATH, type ActionName, type Container, type KubeObject } from './objects';

export async function requestAction(
  client: DaemonClient,
  container: Container,
  action: ActionName,
): Promise<void> {
  if (container.metadata.annotations?.[ACTION_ANNOTATION] !== undefined) {
    throw new RequestError(409, 'another action on this container has not ended yet');
  }
  await client.request(pathOf('containers', container), {
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

export type ObjectPlural = 'containers' | 'images' | 'volumes';

/** Deletes an object, unless it is another one of the same name by now. */
export async function deleteObject(client: DaemonClient, plural: ObjectPlural, object: KubeObject): Promise<void> {
  await client.request(pathOf(plural, object), {
    method: 'DELETE',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      preconditions: { uid: object.metadata.uid },
    }),
  });
}

function pathOf(plural: ObjectPlural, { metadata }: KubeObject): string {
  const { name, namespace = '' } = metadata;
  return `${CONTAINERS_PATH}/namespaces/${encodeURIComponent(namespace)}/${plural}/${encodeURIComponent(name)}`;
}
