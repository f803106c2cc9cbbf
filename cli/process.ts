import { run } from './program.ts';

/** Runs this process's command line. `startScript` brings a platform up, where there is one. */
export async function main(startScript: string | undefined): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  // A reader that has seen enough, such as `head`, is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const { stdin, stdout, stderr, env } = process;
  const world = { stdin, stdout, stderr, env, signal: stop.signal, startScript };
  process.exitCode = await run(process.argv.slice(2), world);
}
