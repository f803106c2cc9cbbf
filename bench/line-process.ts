import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { PYTHON_ENVIRONMENT } from '../scripts/parity/python.ts';

/** A child process that talks in lines of JSON. The first line sets it up, and its answer means that it is ready. */
export class LineProcess<Ready = unknown> {
  readonly #command: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  /** The answer to the setup. */
  readonly ready: Ready;

  private constructor(command: string, child: ChildProcess, lines: AsyncIterator<string>, ready: Ready) {
    this.#command = command;
    this.#child = child;
    this.#lines = lines;
    this.ready = ready;
  }

  /** @throws where the process cannot be started, or ends before it is ready; its own message is on stderr */
  static async start<Ready>(command: readonly string[], setup: unknown): Promise<LineProcess<Ready>> {
    const [program, ...args] = command as [string, ...string[]];
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...PYTHON_ENVIRONMENT },
    });
    await once(child, 'spawn');
    // A write to a process that has ended shows in the answer that never comes.
    child.stdin.on('error', () => {});
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stdin.write(`${JSON.stringify(setup)}\n`);
    return new LineProcess<Ready>(command.join(' '), child, lines, await nextOf<Ready>(lines, command[1]!));
  }

  /** Sends a message and returns the answer. */
  async ask<Answer>(message: unknown): Promise<Answer> {
    this.send(message);
    return nextOf<Answer>(this.#lines, this.#command);
  }

  send(message: unknown): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** Returns the next line that the process writes. */
  next<Answer>(): Promise<Answer> {
    return nextOf<Answer>(this.#lines, this.#command);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Closes the process's input, which ends it. */
  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await exited;
  }
}

async function nextOf<T>(lines: AsyncIterator<string>, command: string): Promise<T> {
  const { value, done } = await lines.next();
  if (done)
    throw new Error(`${command} ended; a peer's Python must have torch, transformers and its library`);
  return JSON.parse(value) as T;
}
