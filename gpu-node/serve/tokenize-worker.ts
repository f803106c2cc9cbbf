import { workerData } from 'node:worker_threads';
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
import { serveCalls } from '../runtime/worker-thread.ts';

export interface TokenizeWorkerData {
  bases: readonly BaseModelSource[];
}

export interface TextToTokenize {
  /** Id of the base model for whose tokenizer the texts are. */
  base: string;
  text: string;
  maxLength: number;
}

const tokenizers = new Map(
  (workerData as TokenizeWorkerData).bases.map(({ id, folder }): [string, Promise<Tokenizer>] => {
    const tokenizer = loadTokenizer(folder, id);
    // The calls that need it report the failure; without this it would end the process before the first came.
    tokenizer.catch(() => {});
    return [id, tokenizer];
  }),
);

const handlers = {
  /** Resolves when every base model's tokenizer can be used. */
  ready: async (_: null) => {
    await Promise.all(tokenizers.values());
  },
  tokenize: (texts: readonly TextToTokenize[]) =>
    Promise.all(
      texts.map(async ({ base, text, maxLength }) => (await tokenizers.get(base)!).encode(text, maxLength)),
    ),
};
export type TokenizeHandlers = typeof handlers;

serveCalls(handlers);
