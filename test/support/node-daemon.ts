import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { NODE_ARGUMENTS } from '../../scripts/node-process.ts';
import { TINY_BERT } from './tiny-bert.ts';

export interface LogLine {
  level: string;
  message: string;
  [field: string]: unknown;
}

/** A node daemon in a process of its own, as a supervisor would run it, on the tiny base model. */
export class NodeDaemon implements AsyncDisposable {
  readonly lines: LogLine[] = [];
  readonly exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  readonly #child: ChildProcess;
  #heard = Promise.withResolvers<void>();

  /** `fileBlocks`: blocks of 512 bytes beyond which no file may grow, as on a full disk. */
  constructor(env: Record<string, string>, fileBlocks: number | 'unlimited' = 'unlimited') {
    const limited = `ulimit -f ${fileBlocks}; exec "$0" "$@"`;
    this.#child = spawn('/bin/sh', ['-c', limited, process.execPath, ...NODE_ARGUMENTS], {
      env: { ...process.env, WEFT_BASE_MODEL: TINY_BERT, WEFT_THREADS: '1', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.exited = once(this.#child, 'exit') as typeof this.exited;
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.lines.push(JSON.parse(line));
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The first line with this message, now or later. @throws when the daemon ends without it. */
  async said(message: string): Promise<LogLine> {
    for (;;) {
      const line = this.lines.find((each) => each.message === message);
      if (line) return line;
      const ended = this.exited.then(() => 'ended' as const);
      if ((await Promise.race([this.#heard.promise, ended])) === 'ended') {
        throw new Error(`the daemon ended without saying "${message}": ${JSON.stringify(this.lines)}`);
      }
    }
  }

  /** The last of what it has said. */
  get lastWords(): string {
    return JSON.stringify(this.lines.slice(-3));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }
}
