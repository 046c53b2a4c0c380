// Clients of the Kubernetes API with @kubernetes/client-node, for bats/tests/53-clients.bats.
//
//     node clients.mjs watch|use|container KUBECONFIG NAMESPACE [ARGUMENT…]
//
// A client prints what it sees, and ends with 0 when everything was as expected.

import assert from 'node:assert/strict';

import {
  CoreV1Api, CustomObjectsApi, KubeConfig, KubernetesObjectApi, PatchStrategy, Watch, makeInformer, setHeaderOptions,
} from '@kubernetes/client-node';

const labelSelector = 'client=node';
const [command, kubeconfig, namespace, ...rest] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const core = config.makeApiClient(CoreV1Api);

const configMap = (name, value) => ({
  apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels: { client: 'node' } }, data: { key: value },
});

// rejected returns the body of a response that must have this status.
async function rejected(status, call) {
  const error = await call.then(() => assert.fail(`not rejected with ${status}`), (reason) => reason);
  assert.equal(error.code, status, error);
  return error.body;
}

// watchConfigMaps prints the events of an informer until it is killed.
async function watchConfigMaps() {
  const informer = makeInformer(
    config, `/api/v1/namespaces/${namespace}/configmaps`,
    async () => {
      const list = await core.listNamespacedConfigMap({ namespace, labelSelector });
      console.log('listed');
      return list;
    },
    labelSelector,
  );
  for (const event of ['add', 'update', 'delete']) {
    informer.on(event, ({ metadata, data }) => console.log(event, metadata.name, data.key));
  }
  // As its documentation says: it is started again after an error.
  informer.on('error', () => setTimeout(() => informer.start(), 200));
  await informer.start();
}

// use creates, lists, replaces, patches, applies, and deletes ConfigMaps.
async function use() {
  const created = await core.createNamespacedConfigMap({ namespace, body: configMap('node', 'created') });
  assert.ok(created.metadata.uid && created.metadata.creationTimestamp instanceof Date);
  assert.match(await rejected(409, core.createNamespacedConfigMap({ namespace, body: configMap('node', 'created') })), /AlreadyExists/);
  await core.createNamespacedConfigMap({ namespace, body: configMap('node-second', 'created') });

  const page = await core.listNamespacedConfigMap({ namespace, labelSelector, limit: 1 });
  const next = await core.listNamespacedConfigMap({ namespace, labelSelector, limit: 1, _continue: page.metadata._continue });
  assert.deepEqual([...page.items, ...next.items].map(({ metadata }) => metadata.name), ['node', 'node-second']);

  const replaced = await core.replaceNamespacedConfigMap({ name: 'node', namespace, body: { ...created, data: { key: 'replaced' } } });
  assert.deepEqual(replaced.data, { key: 'replaced' });
  await rejected(409, core.replaceNamespacedConfigMap({ name: 'node', namespace, body: created }));
  const patched = await core.patchNamespacedConfigMap(
    { name: 'node', namespace, body: { data: { other: 'patched' } } },
    setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
  );
  assert.deepEqual(patched.data, { key: 'replaced', other: 'patched' });

  const objects = KubernetesObjectApi.makeApiClient(config);
  const apply = (force) => objects.patch(
    configMap('node', 'applied'), undefined, undefined, 'node-applier', force, PatchStrategy.ServerSideApply,
  );
  assert.match(await rejected(409, apply(undefined)), /\.data\.key/);
  assert.deepEqual((await apply(true)).data, { key: 'applied', other: 'patched' });

  await core.deleteNamespacedConfigMap({ name: 'node', namespace });
  await rejected(404, core.readNamespacedConfigMap({ name: 'node', namespace }));
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector });
  assert.deepEqual((await core.listNamespacedConfigMap({ namespace, labelSelector })).items, []);
  console.log('used');
}

// useContainer pauses a container and waits for the outcome, then removes it and waits
// until it is gone.
async function useContainer([name]) {
  const kind = { group: 'containers.rancherdesktop.io', version: 'v1alpha1', namespace, plural: 'containers' };
  const containers = config.makeApiClient(CustomObjectsApi);
  const { items } = await containers.listNamespacedCustomObject(kind);
  assert.ok(items.some(({ metadata }) => metadata.name === name));

  const until = (condition, resourceVersion) => new Promise((resolve, reject) => {
    const path = `/apis/${kind.group}/${kind.version}/namespaces/${namespace}/${kind.plural}`;
    const watching = new Watch(config).watch(path, { fieldSelector: `metadata.name=${name}`, resourceVersion }, async (type, object) => {
      if (!condition(type, object)) return;
      resolve(object);
      (await watching).abort();
    }, (error) => reject(error ?? new Error('the watch ended')));
  });
  await containers.patchNamespacedCustomObject(
    { ...kind, name, body: { metadata: { annotations: { 'containers.rancherdesktop.io/action': 'pause' } } } },
    setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
  );
  const paused = await until((_, object) => object.status.status === 'paused');
  console.log('status', paused.status.status);
  await containers.deleteNamespacedCustomObject({ ...kind, name });
  await until((type) => type === 'DELETED', paused.metadata.resourceVersion);
  console.log('removed');
}

await { watch: watchConfigMaps, use, container: useContainer }[command](rest);
