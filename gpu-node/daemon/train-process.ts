import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { ALLOCATOR_ENVIRONMENT } from '../allocator.ts';
import { type FromTrainer, fromTrainer, type ToTrainer, type TrainingSpec } from '../train/protocol.ts';

/** Milliseconds for a training process to end by itself after `stop`: to finish a step and to save its state. */
const STOP_GRACE_MS = 4000;
const STDERR_TAIL = 4000;

export type TrainingResult = Extract<FromTrainer, { type: 'done' }>;
export type TrainingNews = Extract<FromTrainer, { type: 'resolved' | 'progress' | 'event' | 'checkpoint' }>;

/** A training that gave no adapter; `message` is for the user, `detail` for the node's log. */
export class TrainingFailure extends Error {
  override name = 'TrainingFailure';
  readonly code: string;
  readonly retryable: boolean;
  readonly detail: string;

  constructor(failure: { code: string; message: string; retryable: boolean; detail?: string }) {
    super(failure.message);
    this.code = failure.code;
    this.retryable = failure.retryable;
    this.detail = failure.detail ?? '';
  }
}

export interface TrainingProcessOptions {
  /** The module a training process runs. */
  entry: URL;
  spec: TrainingSpec;
  onNews(news: TrainingNews): void;
  /** Aborting it stops the process, and kills it if it does not end. */
  signal: AbortSignal;
}

/**
 * Trains in a process of its own, so that a crash or a kill costs the attempt and not the daemon. It runs at a lower priority than the
 * daemon: classifications go first if both want a core.
 * @throws {TrainingFailure} with the process's own message, or how it died; the signal's reason if it was stopped.
 */
export async function trainInProcess(options: TrainingProcessOptions): Promise<TrainingResult> {
  const { entry, spec, onNews, signal } = options;
  signal.throwIfAborted();
  const child = fork(entry, {
    execArgv: [],
    env: childEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const stderr = tailOf(child);
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  // `ended` rejects with the first error; later ones, such as a refused kill, change nothing.
  child.on('error', () => {});
  const withdraw = stopOnAbort(child, signal);
  let outcome: Extract<FromTrainer, { type: 'done' | 'failed' }> | undefined;
  child.on('message', (raw) => {
    const { data: message } = fromTrainer.safeParse(raw);
    if (!message) child.kill('SIGKILL');
    else if (message.type === 'done' || message.type === 'failed') outcome = message;
    else onNews(message);
  });
  child.on('spawn', () => {
    yieldToServing(child.pid);
    send(child, { type: 'start', spec });
  });
  try {
    const [code, killedBy] = await ended;
    signal.throwIfAborted();
    if (outcome?.type === 'done') return outcome;
    if (outcome)
      throw new TrainingFailure({ ...outcome.error, retryable: outcome.retryable, detail: stderr() });
    throw died(killedBy ?? `exit code ${code}`, stderr());
  } finally {
    withdraw();
  }
}

/** Sends a message; a process that is already gone does not need it. */
function send(child: ChildProcess, message: ToTrainer): void {
  if (child.connected) child.send(message, () => {});
}

/** Stops the process when the signal is aborted; returns a function that removes the listener. */
function stopOnAbort(child: ChildProcess, signal: AbortSignal): () => void {
  let kill: NodeJS.Timeout | undefined;
  const stop = () => {
    send(child, { type: 'stop' });
    kill = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
  };
  signal.addEventListener('abort', stop, { once: true });
  return () => {
    clearTimeout(kill);
    signal.removeEventListener('abort', stop);
  };
}

/** Collects the process's last output on stderr. */
function tailOf(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (more: string) => {
    text = (text + more).slice(-STDERR_TAIL);
  });
  return () => text;
}

function died(how: string, stderr: string): TrainingFailure {
  const message = `the training process ended early (${how}); it may have run out of memory`;
  return new TrainingFailure({ code: 'training_failed', message, retryable: true, detail: stderr });
}

/**
 * Environment of a training process. It has no secret, because the process talks only to the daemon, and no allocator settings, because it
 * ends before glibc keeps much.
 */
function childEnvironment(): NodeJS.ProcessEnv {
  const left = ['WEFT_NODE_SECRET', 'WEFT_API_KEY', ...Object.keys(ALLOCATOR_ENVIRONMENT)];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !left.includes(name)));
}

function yieldToServing(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // A system that refuses leaves both at the same priority, which only costs latency.
  }
}
