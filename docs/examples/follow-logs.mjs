// Follows the logs of several containers over one WebSocket. When the connection is lost, it connects again, and
// neither loses nor repeats a line. After `npm install ws`, with LOGS and DIR as in docs/passthrough.md, "Examples":
//
//     node follow-logs.mjs NAME… | --selector LABELS | --project NAME
//
// A line goes to the stream that it was written to, after the container's name; an event goes to standard error,
// after "#". The program ends when the containers that were named have been removed.
import { on, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import WebSocket from 'ws';

const CREDIT = 256 * 1024; // bytes of entries that may be on their way to the output
const CURSORS = 6; // in a message: one has at most 4 KiB, a container with its cursor about 500 bytes
const MAX_LOGS = 512; // whose cursors are kept
const MAX_LINE = 1024 * 1024; // bytes; longer lines are divided
const TEMPORARY = [429, 502, 503, 1001, 1006, 1011, 1013]; // statuses and close codes; 1006: no close frame
const { env: { LOGS, DIR }, argv: [, , ...names] } = process;
const token = readFileSync(`${DIR}/token`, 'utf8').trim();
const credentials = { ca: readFileSync(`${DIR}/tls/ca.crt`), headers: { Authorization: `Bearer ${token}` } };

const subscriptions = new Map(); // by id, until they end: { container }, { selector }, or { project }
const logs = new Map(); // by Container object, over all connections: { name, cursor, hasLeft, lines }
let failures = 0; // since the last entries
const note = (...words) => console.error('#', ...words);
const failure = (code, message) => Object.assign(new Error(`${message} (${code})`), { code });

// Returns subscriptions, which take the names of Container objects instead of the containers' own.
async function findContainers() {
  const url = new URL('/apis/containers.rancherdesktop.io/v1alpha1/containers', LOGS);
  const [response] = await once(get(url, credentials), 'response');
  const body = await text(response);
  if (response.statusCode !== 200) throw failure(response.statusCode, body);
  return names.map((name) => {
    const object = JSON.parse(body).items.find(({ status }) => status?.name === name);
    if (!object) throw new Error(`there is no container with the name "${name}"`);
    return { container: object.metadata.name };
  });
}

// Follows until all subscriptions have ended. Throws if the connection ends before.
async function follow() {
  const socket = new WebSocket(LOGS.replace('https', 'wss'), 'rdd.logs-mux.v1', credentials);
  const send = (message) => socket.send(JSON.stringify(message));
  const sources = new Map(); // logs by their numbers on this connection
  const silence = setTimeout(() => socket.terminate(), 30_000).unref();
  socket.on('ping', () => silence.refresh()); // comes every 10 s; the library answers it
  socket.on('open', () => subscriptions.forEach((selection, id) => subscribe(send, id, selection)));
  socket.on('unexpected-response', async (_, response) => {
    socket.emit('error', failure(response.statusCode, await text(response)));
    socket.terminate();
  });
  socket.on('close', (code, reason) => socket.emit('error', failure(code, `the connection was closed: ${reason}`)));
  socket.on('error', () => {}); // the loop throws the first one
  for await (const [data, isBinary] of on(socket, 'message')) { // the credit limits how many wait
    if (isBinary) {
      const bytes = await printEntries(sources.get(data.readUInt32BE(4)), data.subarray(8));
      send({ op: 'credit', id: data.readUInt32BE(0), bytes });
    } else handleEvent(JSON.parse(data), sources, socket);
    if (subscriptions.size === 0) return socket.close(1000);
  }
}

function subscribe(send, id, selection) {
  const selected = [...logs].filter(([container]) => container === (selection.container ?? container));
  const cursors = selected.flatMap(([container, { cursor }]) => (cursor ? [[container, cursor]] : []));
  const take = (count) => Object.fromEntries(cursors.splice(0, count));
  while (cursors.length > CURSORS) send({ op: 'cursors', id, cursors: take(CURSORS) });
  send({ op: 'subscribe', id, ...selection, follow: 'restart', credit: CREDIT, cursors: take(CURSORS) });
}

function handleEvent({ type, id, source, container, name, labels, ...details }, sources, socket) {
  const log = sources.get(source) ?? logs.get(container) ?? { lines: [Buffer.alloc(0), Buffer.alloc(0)] };
  if (type === 'joined') {
    sources.set(source, Object.assign(log, { name: name || log.name, hasLeft: false }));
    logs.set(container, log);
    if (logs.size > MAX_LOGS) logs.delete([...logs].find(([, { hasLeft }]) => hasLeft)?.[0]);
  }
  note(log.name ?? `subscription ${id}`, type, ...Object.values(details)); // times, exit codes, reasons
  if (type === 'left') log.hasLeft = true; // its cursor is kept: it joins again if only the engine failed
  if (type === 'left' || type === 'gap') log.lines.forEach((line, output) => line.length && printLine(log, output));
  if (type === 'error' && TEMPORARY.includes(details.code)) return socket.terminate();
  if (type === 'error') process.exitCode = 1;
  if (type === 'error' && id === null) subscriptions.clear(); // a message was not understood
  if (type === 'error' || type === 'end') subscriptions.delete(id);
}

async function printEntries(log, data) { // Returns their cost.
  let [cost, at, printed] = [0, 1 + data[0], []]; // begins after the cursor
  log.cursor = data.toString('latin1', 1, at);
  for (let end; at < data.length; at = end) { // a time (8 bytes), flags (1), a length (4), and the bytes
    const [output, isPartial] = [data[at + 8] & 1, data[at + 8] & 2];
    end = at + 13 + data.readUInt32BE(at + 9);
    log.lines[output] = Buffer.concat([log.lines[output], data.subarray(at + 13, end)]);
    if (!isPartial || log.lines[output].length > MAX_LINE) printed.push(printLine(log, output));
    cost += Math.max(1, end - at - 13);
  }
  failures = 0;
  await Promise.all(printed);
  return cost;
}

const printLine = ({ name, lines }, output) => new Promise((done) => {
  const line = Buffer.concat([Buffer.from(`${name} | `), lines[output], Buffer.from('\n')]);
  lines[output] = Buffer.alloc(0);
  [process.stdout, process.stderr][output].write(line, done);
});

process.on('uncaughtException', ({ message }) => { note(message); process.exit(1); });
const selections = names[0]?.startsWith('--') ? [{ [names[0].slice(2)]: names[1] }] : await findContainers();
selections.forEach((selection, index) => subscriptions.set(index + 1, selection));
while (subscriptions.size > 0) {
  await follow().catch(async (error) => {
    if (!TEMPORARY.includes(error.code) && typeof error.code !== 'string') throw error; // text: such as ECONNREFUSED
    note(`${error.message}; connecting again`);
    await pause(Math.min(30_000, 500 * 2 ** failures++) * (0.5 + Math.random() / 2));
  });
}
