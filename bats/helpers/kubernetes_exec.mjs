// Runs a process with the Exec class of @kubernetes/client-node, whose requests for
// pods are sent to the path of a container instead.
//
//     node kubernetes_exec.mjs KUBECONFIG CONTAINER-ID COMMAND [ARG…]
//
// Standard input, output, and error are connected. Prints the Status to the file
// $STATUS_FILE.

import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

// The package is in the directory of the test.
const require = createRequire(`${process.cwd()}/`);
const { Exec, KubeConfig } = await import(pathToFileURL(require.resolve('@kubernetes/client-node')));

const [kubeconfig, container, ...command] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromFile(kubeconfig);

const pods = new Exec(config);
const exec = new Exec(config, {
  connect(path, ...handlers) {
    const url = new URL(path, 'https://pod.invalid');
    url.searchParams.delete('container'); // of the pod
    return pods.handler.connect(`/passthrough/engine/exec/${container}${url.search}`, ...handlers);
  },
});
const socket = await exec.exec(
  'default', container, 'none', command,
  process.stdout, process.stderr, process.stdin, false,
  (status) => writeFileSync(process.env.STATUS_FILE, JSON.stringify(status)),
);
console.error(`subprotocol ${socket.protocol}`);
socket.addEventListener('close', ({ code, reason }) => {
  console.error(`closed ${code} ${reason}`);
  process.exit(0);
});
