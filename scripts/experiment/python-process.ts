import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { PYTHON_ENVIRONMENT } from '../parity/python.ts';

const STDERR_TAIL = 2000;

/** A Python script that talks in lines of JSON. */
export class PythonProcess {
  readonly #python: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;
  #stderr = '';

  constructor(python: string, script: string) {
    this.#python = python;
    this.#child = spawn(python, [script], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...PYTHON_ENVIRONMENT },
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#child.stderr!.setEncoding('utf8').on('data', (more: string) => {
      this.#stderr = (this.#stderr + more).slice(-STDERR_TAIL);
    });
    this.#child.stdin!.on('error', () => {});
    this.#ended = once(this.#child, 'close').catch((error: Error) => {
      this.#stderr = error.message;
    });
  }

  send(message: unknown): void {
    this.#child.stdin!.write(`${JSON.stringify(message)}\n`);
  }

  /** The next message. @throws the script's last words, if it has ended */
  async next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (!done) return JSON.parse(value);
    await this.#ended;
    throw new Error(
      `${this.#python} ended: WEFT_PYTHON must have torch, transformers, peft and scikit-learn\n${this.#stderr}`.trim(),
    );
  }

  async stop(): Promise<void> {
    this.#child.kill();
    await this.#ended;
  }
}
