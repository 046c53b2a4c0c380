// The lines that are shown, as a file or as text.

import { stripAnsi } from './ansi';
import { LineFlag, type LineStore } from './lineStore';
import type { SourceView } from './workerMessages';

// What a clipboard can reasonably take.
const MAX_COPY = 1024 * 1024;

const NEWLINE = new Uint8Array([10]);
const decoder = new TextDecoder();

/** Collects lines as the parts of a file, each after its time and the name of its log. */
export class LineWriter {
  parts: BlobPart[] = [];
  /** The number of bytes that were written, about. */
  size = 0;
  /** The stream whose line goes on in its next entry. */
  #open: number | undefined;

  write(line: { stream: number; time: bigint; isPartial: boolean; bytes: Uint8Array }, name: string | undefined): void {
    if (this.#open !== line.stream) {
      // Another stream came between the parts of a line.
      if (this.#open !== undefined) this.parts.push(NEWLINE);
      const stamp = new Date(Number(line.time / 1_000_000n)).toISOString();
      const prefix = name === undefined ? `${stamp} ` : `${stamp} ${name} `;
      this.parts.push(prefix);
      this.size += prefix.length;
    }
    this.parts.push(line.bytes as Uint8Array<ArrayBuffer>);
    if (!line.isPartial) this.parts.push(NEWLINE);
    this.#open = line.isPartial ? line.stream : undefined;
    this.size += line.bytes.length + 1;
  }
}

/** Returns the lines as they were written. Browsers keep large ones on disk. */
export function exportLines(store: LineStore, sources: readonly SourceView[]): Blob {
  const writer = new LineWriter();
  for (let position = 0; position < store.length; position += 1) {
    const line = store.at(position);
    if (line === undefined || (line.flags & LineFlag.marker) !== 0) continue;
    const name = sources.length > 1 ? (sources[line.source]?.name ?? '') : undefined;
    const stream = line.source * 2 + (line.flags & LineFlag.stderr);
    writer.write({ ...line, stream, isPartial: (line.flags & LineFlag.partial) !== 0 }, name);
  }
  return new Blob(writer.parts, { type: 'text/plain' });
}

/** Returns the last lines as text without colors, as many as a clipboard takes. */
export function copyLines(store: LineStore): { text: string; isCut: boolean } {
  const lines: string[] = [];
  let size = 0;
  let position = store.length - 1;
  for (; position >= 0 && size < MAX_COPY; position -= 1) {
    const line = store.at(position);
    if (line === undefined || (line.flags & LineFlag.marker) !== 0) continue;
    const text = stripAnsi(decoder.decode(line.bytes));
    size += text.length + 1;
    lines.push(text);
  }
  return { text: lines.reverse().join('\n'), isCut: position >= 0 };
}
