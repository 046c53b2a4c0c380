// Reads the whole range of some logs into a file, beside what is shown.

import { LineWriter } from './logExport';
import { MuxClient, type MuxClientOptions } from './muxClient';
import type { EntryBatch } from './muxMessages';

// A tab has to hold the file until it is saved.
const MAX_BYTES = 1024 * 1024 * 1024;
// Parts become blobs, which browsers keep on disk.
const PART_BYTES = 4 * 1024 * 1024;
const REPORT_BYTES = 1024 * 1024;

export interface LogDownloadOptions extends Pick<MuxClientOptions, 'targets' | 'openSocket' | 'probe'> {
  since: string | undefined;
  until: string | undefined;
  onProgress(bytes: number): void;
  onEnd(content: Blob | undefined, error: string | undefined): void;
}

/** The lines of one log so far. Logs follow each other in the file, each in its order. */
class LogFile {
  readonly name: string;
  readonly #writer = new LineWriter();
  #done: Blob[] = [];

  constructor(name: string) {
    this.name = name;
  }

  push(batch: EntryBatch, isAlone: boolean): number {
    const writer = this.#writer;
    const before = writer.size;
    for (const entry of batch.entries) {
      writer.write({ ...entry, stream: entry.isStderr ? 1 : 0 }, isAlone ? undefined : this.name);
    }
    const added = writer.size - before;
    if (writer.size > PART_BYTES) {
      this.#done.push(new Blob(writer.parts));
      [writer.parts, writer.size] = [[], 0];
    }
    return added;
  }

  blob(): Blob {
    return new Blob([...this.#done, ...this.#writer.parts]);
  }
}

export class LogDownload {
  readonly #options: LogDownloadOptions;
  readonly #client: MuxClient;
  readonly #files = new Map<number, LogFile>();
  #bytes = 0;
  #reported = 0;
  #error: string | undefined;
  #hasEnded = false;

  constructor(options: LogDownloadOptions) {
    this.#options = options;
    const { targets, openSocket, probe, since, until } = options;
    const isAlone = targets.length === 1 && targets[0] !== undefined && 'container' in targets[0];
    this.#client = new MuxClient({
      targets,
      openSocket,
      probe,
      range: { tail: 'all', since, until, follow: false },
      onEntries: (source, batch) => {
        const file = this.#files.get(source.index) ?? new LogFile(source.name);
        this.#files.set(source.index, file);
        this.#onBytes(file.push(batch, isAlone));
      },
      onEvent: () => undefined,
      onResume: () => undefined,
      onError: (message, _, isFinal) => {
        if (isFinal) this.#error = message;
      },
      onStatus: (status) => {
        if (status === 'closed' || status === 'signedOut') this.#finish();
      },
    });
  }

  cancel(): void {
    this.#hasEnded = true;
    this.#client.close();
  }

  #onBytes(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes - this.#reported > REPORT_BYTES) {
      this.#reported = this.#bytes;
      this.#options.onProgress(this.#bytes);
    }
    if (this.#bytes > MAX_BYTES) {
      this.#error = 'the file has 1 GiB and ends there; use "rdd logs" for more';
      this.#client.close();
    }
  }

  #finish(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const files = [...this.#files.values()];
    const content = files.length === 0 ? undefined : new Blob(files.map((file) => file.blob()), { type: 'text/plain' });
    this.#options.onEnd(content, this.#error);
  }
}
