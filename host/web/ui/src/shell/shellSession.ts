// The connection of a shell to its terminal.

import { socketProtocols, socketUrl } from '../api/daemonClient';
import { binaryMessages, EXEC_PROTOCOL, inputMessages, readExecMessage, shellPath, sizeMessage } from './execMessages';
import type { TerminalHandle, TerminalHandlers } from './terminal';

// A browser reads a socket as fast as it can. What the terminal has not drawn beyond
// this many bytes ends the shell, instead of filling the memory of the tab.
const MAX_PENDING = 32 * 1024 * 1024;
// The same for input that the process does not read.
const MAX_INPUT_PENDING = 8 * 1024 * 1024;

export interface ShellSessionOptions {
  token: string;
  container: string;
  open(handlers: TerminalHandlers): TerminalHandle;
  /** Tells that the shell runs, or why it has ended, as a sentence. */
  onState(isOpen: boolean, text: string): void;
}

export class ShellSession {
  readonly #terminal: TerminalHandle;
  readonly #socket: WebSocket;
  #pending = 0;
  #end: string | undefined;
  #wasOpen = false;

  constructor(options: ShellSessionOptions) {
    this.#socket = new WebSocket(
      socketUrl(location.origin, shellPath(options.container)),
      socketProtocols(options.token, EXEC_PROTOCOL),
    );
    this.#socket.binaryType = 'arraybuffer';
    this.#terminal = options.open({
      onInput: (text) => this.#send(inputMessages(text)),
      onBinary: (text) => this.#send(binaryMessages(text)),
      onSize: (columns, rows) => this.#send([sizeMessage(columns, rows)]),
    });
    this.#socket.onopen = () => {
      this.#wasOpen = true;
      const { columns, rows } = this.#terminal.size;
      this.#send([sizeMessage(columns, rows)]);
      options.onState(true, '');
      this.#terminal.focus();
    };
    this.#socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => this.#onMessage(data);
    this.#socket.onclose = ({ reason }) => {
      // The reason of a socket that never opened is hidden by browsers.
      const text = this.#end ?? (this.#wasOpen ? reason || 'the connection was cut' : '');
      if (text !== '') this.#terminal.writeLine(text);
      options.onState(false, text);
    };
  }

  close(): void {
    this.#socket.onclose = null;
    this.#socket.close(1000);
    this.#terminal.dispose();
  }

  #send(messages: Uint8Array<ArrayBuffer>[]): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > MAX_INPUT_PENDING) {
      this.#stop('the process does not read its input');
      return;
    }
    for (const message of messages) this.#socket.send(message);
  }

  #onMessage(data: ArrayBuffer): void {
    const message = readExecMessage(data);
    if (message.type === 'exit') this.#end = message.text;
    if (message.type !== 'output' || message.bytes.length === 0) return;
    this.#pending += message.bytes.length;
    if (this.#pending > MAX_PENDING) {
      this.#stop('the output came faster than it can be shown');
      return;
    }
    this.#terminal.write(message.bytes, () => (this.#pending -= message.bytes.length));
  }

  #stop(text: string): void {
    this.#end = text;
    this.#socket.close(1000);
  }
}
