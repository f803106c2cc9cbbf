import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { downloadFile } from '@huggingface/hub';
import type { DownloadSource } from './source.ts';
import { writeVerified } from './verified-file.ts';

export interface HubOptions {
  /** Base URL of the hub or a mirror of it. */
  url: string;
  /** Milliseconds to the first byte, and between bytes after it. */
  connectTimeout: number;
  idleTimeout: number;
}

const HUB_DEFAULTS: HubOptions = {
  url: 'https://huggingface.co',
  connectTimeout: 5_000,
  idleTimeout: 20_000,
};

/** Aborts if nothing has moved for as long as the last `expect` allowed. */
class Watchdog {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  expect(milliseconds: number): void {
    clearTimeout(this.#timer);
    const silent = new Error(`nothing came for ${milliseconds / 1000} s`);
    this.#timer = setTimeout(() => this.#controller.abort(silent), milliseconds);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** The Hugging Face hub, at the entry's own revision. */
export function hubSource(given: Partial<HubOptions> = {}): DownloadSource {
  const options = { ...HUB_DEFAULTS, ...given };
  const describe: DownloadSource['describe'] = ({ repository, revision }) =>
    `${options.url}/${repository} at ${revision.slice(0, 12)}`;
  return {
    describe,
    async fetch(entry, files, folder, onProgress) {
      for (const file of files) {
        const { bytes: total } = entry.files[file];
        const onBytes = (bytes: number) => onProgress({ source: describe(entry), file, bytes, total });
        const from = { repo: entry.repository, revision: entry.revision, path: file };
        await fetchFile(options, from, (source, moved) =>
          writeVerified(source, join(folder, file), entry.files[file], (bytes) => {
            moved();
            onBytes(bytes);
          }),
        );
      }
    },
  };
}

async function fetchFile(
  options: HubOptions,
  from: { repo: string; revision: string; path: string },
  write: (source: Readable, moved: () => void) => Promise<void>,
): Promise<void> {
  const watchdog = new Watchdog();
  watchdog.expect(options.connectTimeout);
  try {
    const blob = await downloadFile({
      ...from,
      hubUrl: options.url,
      // Xet is off, so that plain HTTP to one address is used: its chunk protocol needs a second host, which a firewall may block.
      xet: false,
      fetch: (url, init) => fetch(url, { ...init, signal: watchdog.signal }),
    });
    if (!blob) throw new Error(`the repository has no ${from.path}`);
    const source = Readable.fromWeb(blob.stream() as ReadableStream, { signal: watchdog.signal });
    await write(source, () => watchdog.expect(options.idleTimeout));
  } catch (cause) {
    const reason = watchdog.signal.aborted ? watchdog.signal.reason : cause;
    throw new Error(`${from.path} did not come`, { cause: reason });
  } finally {
    watchdog.stop();
  }
}
