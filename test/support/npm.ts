import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What makes the command that follows the first process of a namespace of its own, as it is in a container. */
const AS_FIRST_PROCESS = ['unshare', '--user', '--map-root-user', '--pid', '--fork'];

/** A script of package.json, run by npm as a user or a container would. */
export class NpmScript implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  readonly #child: ChildProcess;
  readonly #first: boolean;
  #heard = Promise.withResolvers<void>();

  /** `first`: npm is process 1. */
  constructor(script: string, env: Record<string, string>, { first = false } = {}) {
    const [program, ...args] = [...(first ? AS_FIRST_PROCESS : []), 'npm', 'run', script];
    this.#first = first;
    this.#child = spawn(program!, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    this.exited = once(this.#child, 'close') as typeof this.exited;
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.lines.push(line);
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    });
  }

  /** The first line that holds this, now or later. @throws when npm ends without it. */
  async said(part: string | RegExp): Promise<string> {
    for (;;) {
      const line = this.lines.find((each) => each.search(part) >= 0);
      if (line) return line;
      const ended = this.exited.then(() => 'ended' as const);
      if ((await Promise.race([this.#heard.promise, ended])) === 'ended') {
        throw new Error(`npm ended without saying ${part}:\n${this.lines.join('\n')}`);
      }
    }
  }

  /** Sends npm a signal, and nobody else. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.#npm(), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    // npm, its shell and what that became; process 1 takes the others with it.
    if (exitCode === null && signalCode === null) {
      if (this.#first) await this.signal('SIGKILL');
      else process.kill(-pid!, 'SIGKILL');
    }
    await this.exited;
  }

  async #npm(): Promise<number> {
    const pid = this.#child.pid!;
    if (!this.#first) return pid;
    return Number(await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'));
  }
}

/** Whether this system lets a test have a process 1 of its own. */
export function canBeFirstProcess(): Promise<boolean> {
  const [program, ...args] = [...AS_FIRST_PROCESS, 'true'];
  return promisify(execFile)(program!, args).then(
    () => true,
    () => false,
  );
}
