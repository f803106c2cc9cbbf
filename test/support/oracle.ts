import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTokenizer, type Tokenizer } from '../../gpu-node/data/tokenizer.ts';
import { loadAdapter } from '../../gpu-node/methods/index.ts';
import { matchTargets } from '../../gpu-node/methods/targets.ts';
import { adapterBase } from '../../gpu-node/models/adapter-base.ts';
import type { BaseModel } from '../../gpu-node/models/model.ts';
import { type BaseModelSource, openBaseModel } from '../../gpu-node/models/open-base-model.ts';
import { bytesIn } from '../../gpu-node/parts/part.ts';
import { Forward } from '../../gpu-node/serve/forward.ts';
import { readAdapterFiles } from '../../gpu-node/weights/adapter-file.ts';
import { sha256OfFile } from '../../gpu-node/weights/verified-file.ts';
import { softmax } from '../../shared/metrics.ts';
import type { PeftBundle } from './bundles.ts';
import { type BundleShape, randomBundle } from './bundles.ts';
import { TINY_BERT } from './tiny-bert.ts';

/** Tokens that every text is cut to. */
export const MAX_LENGTH = 32;
const POOLING = 'mean';

/**
 * Knows what adapters of random weights on tiny-bert answer, each named by its seed: it runs every text alone, apart from
 * what daemons serve with.
 */
export class Oracle implements AsyncDisposable {
  readonly #source: BaseModelSource;
  readonly #base: BaseModel;
  readonly #tokenizer: Tokenizer;
  readonly #forward: Forward;
  readonly #known = new Map<string, Promise<number[]>>();
  /** Files that no seed gives. */
  readonly #trained = new Map<number, PeftBundle>();
  /** It runs one text at a time. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(source: BaseModelSource, base: BaseModel, tokenizer: Tokenizer, forward: Forward) {
    this.#source = source;
    this.#base = base;
    this.#tokenizer = tokenizer;
    this.#forward = forward;
  }

  static async open(): Promise<Oracle> {
    const weightsFolder = await mkdtemp(join(tmpdir(), 'weft-oracle-'));
    const sha256 = await sha256OfFile(join(TINY_BERT, 'model.safetensors'));
    const source = { id: 'tiny-bert', folder: TINY_BERT, sha256, weightsFolder };
    const base = await openBaseModel(source);
    const layers = matchTargets(['query', 'value'], base.architecture.linears(POOLING));
    const plan = { lowRank: layers.map(({ name }) => name) };
    const forward = await Forward.create({ base, plan, slots: 1, device: 'cpu', threads: 1 });
    return new Oracle(source, base, await loadTokenizer(TINY_BERT), forward);
  }

  /** The adapter's files. */
  bundle(seed: number): PeftBundle {
    const trained = this.#trained.get(seed);
    return (
      trained ?? randomBundle(this.#base, this.#source, { seed, maxLength: MAX_LENGTH, pooling: POOLING })
    );
  }

  /** The files of another adapter, which is not asked about. */
  otherBundle(shape: BundleShape): PeftBundle {
    return randomBundle(this.#base, this.#source, { maxLength: MAX_LENGTH, pooling: POOLING, ...shape });
  }

  /** From now on a seed stands for these files, as training made them: LoRA on query and value, mean pooling, at most `MAX_LENGTH` tokens. */
  learn(seed: number, files: PeftBundle): void {
    this.#trained.set(seed, files);
  }

  /** The scores of an adapter's labels, in their order. */
  scores(seed: number, text: string): Promise<number[]> {
    const key = `${seed} ${text}`;
    const known = this.#known.get(key);
    if (known) return known;
    const scores = this.#last.then(() => this.#run(seed, text));
    this.#last = scores;
    this.#known.set(key, scores);
    return scores;
  }

  async #run(seed: number, text: string): Promise<number[]> {
    const shape = adapterBase(this.#source, this.#base);
    const files = readAdapterFiles(this.bundle(seed), shape, `adapter of seed ${seed}`);
    const { description, weights, weft } = files;
    this.#forward.load('adapter', await loadAdapter(description, bytesIn(weights), this.#base), POOLING);
    const { ids } = this.#tokenizer.encode(text, MAX_LENGTH);
    const [logits] = await this.#forward.run([{ ids, adapter: 'adapter' }]);
    this.#forward.drop('adapter');
    return softmax(logits!, weft.temperature);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#forward.release();
    await rm(this.#source.weightsFolder, { recursive: true });
  }
}
