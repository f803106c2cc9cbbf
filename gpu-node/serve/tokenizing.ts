import type { EncodedText } from '../data/tokenizer.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
import { LastingWorker } from '../runtime/worker-thread.ts';
import { FairQueue, type Waiting } from './fair-queue.ts';
import type { TextToTokenize, TokenizeHandlers, TokenizeWorkerData } from './tokenize-worker.ts';

const ENTRY = new URL('./tokenize-worker.ts', import.meta.url);

interface Request extends Waiting {
  readonly texts: readonly TextToTokenize[];
  resolve(texts: EncodedText[]): void;
  reject(error: unknown): void;
}

/** Tokenizes off the calling thread, one request after another, fair between tenants by characters. */
export class Tokenizing {
  readonly #waiting = new FairQueue<Request>();
  readonly #worker: LastingWorker<TokenizeHandlers>;
  #busy = false;

  constructor(bases: readonly BaseModelSource[], onDeath: (error: Error) => void) {
    const data: TokenizeWorkerData = { bases };
    this.#worker = new LastingWorker<TokenizeHandlers>(ENTRY, data, onDeath);
  }

  /** @throws {AppError} naming the base model whose tokenizer cannot be used */
  async ready(): Promise<void> {
    await this.#worker.call('ready', null);
  }

  /** Tokenizes a request's texts. If the signal is aborted before their turn, nothing is done and nothing answered. */
  tokenize(tenant: string, texts: readonly TextToTokenize[], signal: AbortSignal): Promise<EncodedText[]> {
    const cost = texts.reduce((sum, { text }) => sum + text.length, 0);
    return new Promise((resolve, reject) => {
      this.#waiting.add([tenant], { texts, cost, abandoned: () => signal.aborted, resolve, reject });
      if (!this.#busy) void this.#pump();
    });
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  async #pump(): Promise<void> {
    this.#busy = true;
    for (let turn = this.#waiting.take(); turn; turn = this.#waiting.take()) {
      this.#waiting.reach(turn.start);
      const { texts, resolve, reject } = turn.item;
      await this.#worker.call('tokenize', texts).then(resolve, reject);
    }
    this.#busy = false;
  }
}
