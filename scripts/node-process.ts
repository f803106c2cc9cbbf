import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { ALLOCATOR_ENVIRONMENT } from '../gpu-node/allocator.ts';

/**
 * Node's arguments for a daemon, as in `npm run node`. They bound V8's young objects: the main thread's would grow for hours without
 * answering more requests (docs/operations.md, Sizes).
 */
export const NODE_ARGUMENTS: readonly string[] = [
  '--max-semi-space-size=8',
  fileURLToPath(new URL('../gpu-node/main.ts', import.meta.url)),
];
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** Milliseconds after which a daemon that then crashes counts as sound: the pause before its restart is the shortest again. */
const WELL_AFTER_MS = 60_000;
/** Milliseconds for a daemon to hand its job back and end; then it is killed. */
const DRAIN_MS = 20_000;

/** A node daemon in a process of its own, started again when it crashes. */
export class NodeProcess {
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: (line: string) => void;
  /** The first daemon's complaints before it registered: they go into the error if it ends, else into the log. */
  readonly #complaints: string[] = [];
  #child: ChildProcess | undefined;
  #stopping = false;
  #registered = false;
  #pause = FIRST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;

  constructor(env: NodeJS.ProcessEnv, log: (line: string) => void) {
    this.#env = { ...ALLOCATOR_ENVIRONMENT, ...env };
    this.#log = log;
  }

  /**
   * Resolves once the daemon has registered with the edge. From then on a crash leads to a restart.
   * @throws {Error} with the daemon's complaints where it ends before: starting it again would not help.
   */
  async start(signal?: AbortSignal): Promise<void> {
    const child = this.#spawn();
    const [message] = await Promise.race([
      once(child, 'message', { ...(signal && { signal }) }),
      once(child, 'close').then(([code, by]) => {
        throw new Error(this.#complaints.join('\n') || `the node ${howItEnded(code, by)} while starting`);
      }),
    ]);
    this.#registered = message === 'registered';
    for (const complaint of this.#complaints.splice(0)) this.#log(`node error: ${complaint}`);
  }

  #spawn(): ChildProcess {
    const started = Date.now();
    // The daemon has a process group of its own: Ctrl-C reaches only the starter, which then lets the daemon drain. The channel tells the
    // daemon when the starter is gone, whatever killed it.
    const child = spawn(process.execPath, NODE_ARGUMENTS, {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: process.platform !== 'win32',
    });
    this.#child = child;
    this.#relay(child.stdout!);
    this.#relay(child.stderr!);
    child.on('error', (error) => this.#log(`node ${error.message}`));
    child.once('close', (code, signal) => {
      this.#child = undefined;
      if (this.#registered && !this.#stopping)
        this.#startAgain(howItEnded(code, signal), Date.now() - started);
    });
    return child;
  }

  /** Lets the daemon drain and end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (!child) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    const killer = setTimeout(() => child.kill('SIGKILL'), DRAIN_MS);
    child.kill('SIGTERM');
    await closed;
    clearTimeout(killer);
  }

  #startAgain(how: string, ranMs: number): void {
    if (ranMs > WELL_AFTER_MS) this.#pause = FIRST_PAUSE_MS;
    this.#log(`node ${how}; starting it again in ${this.#pause / 1000} s`);
    this.#timer = setTimeout(() => this.#spawn(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  #relay(stream: Readable): void {
    createInterface({ input: stream }).on('line', (line) => {
      const { level, message, ...fields } = parseLine(line);
      const pairs = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
      const words = [message, ...pairs].join(' ');
      if (level === 'error' && !this.#registered) this.#complaints.push(words);
      else if (words !== '') this.#log(`node ${level === 'info' ? '' : `${level}: `}${words}`);
    });
  }
}

function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  return signal ? `was killed by ${signal}` : `ended with code ${code}`;
}

/** Reads a line of the daemon's log. It is JSON, except for what a library or a crash writes. */
function parseLine(line: string): { level: string; message: string } & Record<string, unknown> {
  try {
    const { time: _, level, message, ...fields } = JSON.parse(line);
    return { level: String(level), message: String(message), ...fields };
  } catch {
    return { level: 'info', message: line };
  }
}
