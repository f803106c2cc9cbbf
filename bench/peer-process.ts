import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TrainingExample } from '../gpu-node/train/runner.ts';

export interface PeerSetup {
  /** Folder of the base model. */
  readonly folder: string;
  readonly threads: number;
  readonly labels: number;
  readonly r: number;
  readonly learningRate: number;
  readonly clip: number;
  /** Whether the base model's own dropout is on, as its config.json and `model.train()` have it. */
  readonly dropout: boolean;
  /** First values of what is trained, by name in transformers' classification model. */
  readonly parameters: Readonly<Record<string, readonly number[]>>;
}

/** HF PEFT in a Python process that makes one step when told to, and idles else. One JSON line each way. */
export class PeerProcess {
  readonly versions: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, versions: string) {
    this.#child = child;
    this.#lines = lines;
    this.versions = versions;
  }

  /** Starts `python bench/peer_train.py`. @throws when it ends before it is ready; its own message is on stderr. */
  static async start(python: string, setup: PeerSetup): Promise<PeerProcess> {
    const script = join(import.meta.dirname, 'peer_train.py');
    const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child, 'spawn');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { versions } = await ask<{ versions: string }>(child, lines, setup);
    return new PeerProcess(child, lines, versions);
  }

  /** One step on the batch; `ms` is measured in the peer, from padded tensors to updated weights. */
  async step(batch: readonly TrainingExample[]): Promise<{ ms: number; loss: number }> {
    const rows = batch.map(({ ids, label }) => ({ ids: Array.from(ids), label }));
    return ask(this.#child, this.#lines, rows);
  }

  async stop(): Promise<void> {
    this.#child.stdin?.end();
    await once(this.#child, 'exit');
  }
}

async function ask<T>(child: ChildProcess, lines: AsyncIterator<string>, message: unknown): Promise<T> {
  child.stdin?.write(`${JSON.stringify(message)}\n`);
  const { value, done } = await lines.next();
  if (done) throw new Error('the peer ended: it needs torch, transformers and peft');
  return JSON.parse(value) as T;
}
