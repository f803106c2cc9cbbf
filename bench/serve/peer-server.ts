import { join } from 'node:path';
import { LineProcess } from '../line-process.ts';
import { installTransformersJs } from '../peers/install.ts';
import type { WrittenAdapter } from './adapters.ts';
import type { Bench } from './bench.ts';
import type { Served } from './daemon.ts';

/** Most rows of a peer's batch: both are fastest with this many of these texts. */
const ROWS = 32;
const MAX_LENGTH = 128;

const COMMANDS = {
  peft: (python: string) => [python, peer('peft_server.py')],
  'transformers.js': () => [process.execPath, peer('transformers-js-server.ts')],
} satisfies Record<string, (python: string) => string[]>;

/** A peer behind HTTP of the node daemon's shape, in a process of its own. */
export class PeerServer implements Served, AsyncDisposable {
  readonly url: string;
  readonly token = '';
  readonly name: string;
  readonly versions: string;
  readonly #process: LineProcess<{ port: number; versions: string }>;

  private constructor(name: string, process: LineProcess<{ port: number; versions: string }>) {
    this.name = name;
    this.#process = process;
    this.url = `http://127.0.0.1:${process.ready.port}/`;
    this.versions = process.ready.versions;
  }

  /** Starts a peer; `precision` is that of `BatchSetup`. */
  static async start(
    kind: keyof typeof COMMANDS,
    precision: string,
    bench: Bench,
    adapters: readonly WrittenAdapter[],
  ): Promise<PeerServer> {
    const { source: base, threads, python, peers } = bench;
    const setup = {
      base,
      threads,
      peers,
      ...(kind === 'transformers.js' && { model: await installTransformersJs(bench, adapters[0]!) }),
      precision,
      rows: ROWS,
      maxLength: MAX_LENGTH,
      adapters: adapters.map(({ folder }) => folder),
      bundles: adapters.map(({ bundle }) => bundle),
    };
    return new PeerServer(`${kind} ${precision}`, await LineProcess.start(COMMANDS[kind](python), setup));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }
}

function peer(file: string): string {
  return join(import.meta.dirname, '..', 'peers', file);
}
