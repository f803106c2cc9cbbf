import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LocalEdge, LocalEdgeOptions } from './local-edge.ts';

const HOST = fileURLToPath(new URL('edge-host.ts', import.meta.url));

export type ToEdgeHost = { type: 'start'; options: LocalEdgeOptions } | { type: 'cron' };
export type FromEdgeHost =
  | { type: 'ready'; url: string }
  | { type: 'cron-done' }
  | { type: 'failed'; message: string };

/** The local edge in a process, and a process group, of its own. */
export interface EdgeProcess extends LocalEdge {
  pid: number;
  /** Rejects if the edge ends by itself. */
  failed: Promise<never>;
}

/** @throws {Error} where the edge cannot start, e.g. because the port is taken. */
export async function startEdgeProcess(options: LocalEdgeOptions): Promise<EdgeProcess> {
  const child = fork(HOST, {
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  // Only the child's end counts.
  child.on('error', () => {});
  const failed = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the edge ended by itself (${signal ?? `code ${code}`})`);
  });
  // Nobody has to await `failed`, so its rejection must not count as unhandled.
  failed.catch(() => {});
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    if (child.connected) child.disconnect();
    await ended;
  };
  const ask = (message: ToEdgeHost) => Promise.race([answerTo(child, message), failed]);
  try {
    const answer = await ask({ type: 'start', options });
    const url = answer.type === 'ready' ? answer.url : '';
    const runCron = async () => void (await ask({ type: 'cron' }));
    return { pid: child.pid!, url, runCron, stop, failed };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function answerTo(child: ChildProcess, message: ToEdgeHost): Promise<FromEdgeHost> {
  const answered = once(child, 'message');
  child.send(message, () => {});
  const [answer] = (await answered) as [FromEdgeHost];
  if (answer.type === 'failed') throw new Error(answer.message);
  return answer;
}
