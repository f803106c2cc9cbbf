import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Environment of a Python with HF's libraries that leaves no files, prints nothing of its own and asks no hub. */
export const PYTHON_ENVIRONMENT = {
  PYTHONDONTWRITEBYTECODE: '1',
  PYTHONWARNINGS: 'ignore',
  HF_HUB_OFFLINE: '1',
  HF_HUB_DISABLE_PROGRESS_BARS: '1',
  TRANSFORMERS_VERBOSITY: 'error',
};

/**
 * A Python with the packages of a requirements file. Its folder is made the first time, and again when the file changes. Packages that
 * match `first` are installed first.
 */
export async function virtualPython(folder: string, file: string, first?: RegExp): Promise<string> {
  const windows = process.platform === 'win32';
  const python = windows ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python');
  const requirements = await readFile(file, 'utf8');
  const stamp = join(folder, 'installed.txt');
  if ((await readFile(stamp, 'utf8').catch(() => '')) === requirements) return python;
  console.log(`making a virtual environment of Python in ${folder}: some minutes, once`);
  await runCommand(windows ? 'python' : 'python3', ['-m', 'venv', '--clear', folder]);
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--retries', '1'];
  if (first) await runCommand(python, [...install, first.exec(requirements)![0]]);
  await runCommand(python, [...install, '--requirement', file]);
  await writeFile(stamp, requirements);
  return python;
}

/** Runs a command that shares this process's output, with `more` added to its environment. @throws where it cannot be started or fails */
export async function runCommand(
  program: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const env = { ...process.env, ...PYTHON_ENVIRONMENT, ...more };
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], env });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ${args.slice(0, 3).join(' ')} … failed (exit code ${code})`);
}
