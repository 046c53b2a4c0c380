// The terminal, loaded when a shell is opened: it is larger than the rest of the page.

import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import { acceptSpanStyles, withStyleSheets } from './terminalStyles';

// Lines that can be scrolled back to.
const SCROLLBACK = 5000;

export interface TerminalHandlers {
  onInput(text: string): void;
  onBinary(text: string): void;
  onSize(columns: number, rows: number): void;
}

export interface TerminalHandle {
  /** Shows output; `done` is called when it was. */
  write(bytes: Uint8Array, done: () => void): void;
  writeLine(text: string): void;
  focus(): void;
  readonly size: { columns: number; rows: number };
  dispose(): void;
}

export function openTerminal(element: HTMLElement, handlers: TerminalHandlers): TerminalHandle {
  acceptSpanStyles();
  const isDark = matchMedia('(prefers-color-scheme: dark)').matches;
  const terminal = new Terminal({
    scrollback: SCROLLBACK,
    fontFamily: "ui-monospace, 'DejaVu Sans Mono', monospace",
    fontSize: 13,
    screenReaderMode: true,
    // What a process calls a link leads nowhere: its text need not be where it leads.
    linkHandler: { activate: () => undefined },
    minimumContrastRatio: 4.5,
    cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
    theme: isDark
      ? { background: '#0d1117', foreground: '#e6edf3', cursor: '#e6edf3', selectionBackground: '#2f4a6d' }
      : { background: '#ffffff', foreground: '#1b2129', cursor: '#1b2129', selectionBackground: '#b6d4fb' },
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  withStyleSheets(() => terminal.open(element));
  fit.fit();
  terminal.onData(handlers.onInput);
  terminal.onBinary(handlers.onBinary);
  terminal.onResize(({ cols, rows }) => handlers.onSize(cols, rows));
  const resize = new ResizeObserver(() => fit.fit());
  resize.observe(element);
  return {
    write: (bytes, done) => terminal.write(bytes, done),
    writeLine: (text) => terminal.write(`\r\n${text}\r\n`),
    focus: () => terminal.focus(),
    get size() {
      return { columns: terminal.cols, rows: terminal.rows };
    },
    dispose() {
      resize.disconnect();
      terminal.dispose();
    },
  };
}
