import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const pathOf = (file: string) => fileURLToPath(new URL(`../../cli/${file}`, import.meta.url));

/** How a command ended, and what it wrote. */
export interface Ended {
  exit: number | null;
  stdout: string;
  stderr: string;
  /** Standard output as one JSON document. */
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what tests assert
  json: any;
  /** Standard output as lines of JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: see above
  lines: any[];
}

interface RunOptions {
  env?: Record<string, string | undefined>;
  stdin?: string;
  cwd?: string;
  /** Sends Ctrl-C's signal, once, when standard output has this. */
  interruptAt?: RegExp;
}

/** The built `weft`, run as a process without a terminal, with a configuration folder of its own. */
export class WeftCli implements AsyncDisposable {
  readonly folder: string;
  readonly #env: Record<string, string | undefined>;
  readonly #script: string;
  /** The first words of every command that was run. */
  readonly ran: string[] = [];

  private constructor(folder: string, script: string, env: Record<string, string | undefined>) {
    this.folder = folder;
    this.#script = script;
    this.#env = env;
  }

  static async build(env: Record<string, string | undefined> = {}): Promise<WeftCli> {
    const folder = await mkdtemp(join(tmpdir(), 'weft cli '));
    const built = join(folder, 'built');
    await promisify(execFile)(process.execPath, [pathOf('build.ts'), built]);
    return new WeftCli(folder, join(built, 'weft.js'), { HOME: folder, PATH: process.env.PATH, ...env });
  }

  /** The same, run from the clone, which has the platform beside it. */
  fromClone(): WeftCli {
    return new WeftCli(this.folder, pathOf('main.ts'), this.#env);
  }

  async run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    this.ran.push(args.join(' '));
    const child = spawn(process.execPath, [this.#script, ...args], {
      cwd: options.cwd ?? this.folder,
      env: { ...this.#env, ...options.env } as NodeJS.ProcessEnv,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    let isInterrupted = false;
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        said[name] += text;
        if (!isInterrupted && options.interruptAt?.test(said.stdout)) isInterrupted = child.kill('SIGINT');
      });
    }
    child.stdin.on('error', () => {}).end(options.stdin ?? '');
    const [exit] = (await once(child, 'close')) as [number | null];
    return {
      exit,
      ...said,
      get json() {
        return JSON.parse(said.stdout);
      },
      get lines() {
        return said.stdout
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line));
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
