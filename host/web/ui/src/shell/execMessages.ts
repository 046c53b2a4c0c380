// The messages of `v5.channel.k8s.io`, as docs/passthrough.md describes them: a byte
// for the channel, then its content.

export const EXEC_PROTOCOL = 'v5.channel.k8s.io';

const CHANNEL = { input: 0, output: 1, error: 2, status: 3, size: 4 } as const;
// The daemon accepts 1 MiB; a long paste is sent in parts.
const MAX_INPUT = 32 * 1024;

// A shell with history and completion where there is one.
const COMMAND = ['/bin/sh', '-c', 'if command -v bash >/dev/null 2>&1; then exec bash; fi; exec sh'];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A message of the daemon. */
export type ExecMessage =
  | { type: 'output'; bytes: Uint8Array }
  | { type: 'exit'; text: string }
  | { type: 'other' };

/** Returns the path of a shell in a container. */
export function shellPath(container: string): string {
  const params = new URLSearchParams([
    ...COMMAND.map((part) => ['command', part]),
    ['stdin', 'true'],
    ['stdout', 'true'],
    ['tty', 'true'],
    ['env', 'TERM=xterm-256color'],
  ]);
  return `/passthrough/engine/exec/${encodeURIComponent(container)}?${params}`;
}

/** Returns the messages for what was typed or pasted. */
export function inputMessages(text: string): Uint8Array<ArrayBuffer>[] {
  return parts(encoder.encode(text));
}

/** Returns the messages for input that is not UTF-8, such as reports of the mouse. */
export function binaryMessages(text: string): Uint8Array<ArrayBuffer>[] {
  return parts(Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff));
}

function parts(bytes: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const messages = [];
  for (let from = 0; from < bytes.length; from += MAX_INPUT) {
    messages.push(message(CHANNEL.input, bytes.subarray(from, from + MAX_INPUT)));
  }
  return messages;
}

export function sizeMessage(columns: number, rows: number): Uint8Array<ArrayBuffer> {
  return message(CHANNEL.size, encoder.encode(JSON.stringify({ Width: columns, Height: rows })));
}

function message(channel: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(content.length + 1);
  bytes[0] = channel;
  bytes.set(content, 1);
  return bytes;
}

export function readExecMessage(data: ArrayBuffer): ExecMessage {
  const bytes = new Uint8Array(data);
  switch (bytes[0]) {
    case CHANNEL.output:
    case CHANNEL.error:
      return { type: 'output', bytes: bytes.subarray(1) };
    case CHANNEL.status:
      return { type: 'exit', text: exitText(decoder.decode(bytes.subarray(1))) };
    default:
      return { type: 'other' };
  }
}

interface ExitStatus {
  status?: string;
  reason?: string;
  message?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

function exitText(json: string): string {
  const { status, reason, message: text, details } = JSON.parse(json) as ExitStatus;
  if (status === 'Success') return 'the shell has ended';
  const code = details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
  if (reason === 'NonZeroExitCode' && (code === '126' || code === '127')) {
    return `there is no shell in this container (exit code ${code})`;
  }
  return code === undefined ? (text ?? 'the shell failed') : `the shell has ended with exit code ${code}`;
}
