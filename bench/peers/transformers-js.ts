import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface TransformersJsSetup {
  /** The folder under which transformers.js is installed. */
  readonly peers: string;
  /** The folder of the model. */
  readonly model: string;
  /** `fp32` or `q8`. */
  readonly precision: string;
  readonly threads: number;
}

interface Tensor {
  readonly data: ArrayLike<number>;
  readonly dims: readonly number[];
}
type Inputs = Record<string, Tensor>;

export interface TransformersJs {
  readonly versions: string;
  /** Turns texts into the model's inputs, padded to the longest. */
  tokenize(texts: readonly string[], maxLength: number): Inputs;
  tensor(data: BigInt64Array, dims: readonly number[]): Tensor;
  run(inputs: Inputs): Promise<number[][]>;
}

/** Opens a classifier in transformers.js, on the CPU. The library is no dependency: it is loaded from where it was installed. */
export async function openTransformersJs(setup: TransformersJsSetup): Promise<TransformersJs> {
  const { peers, model: folder, precision, threads } = setup;
  const entry = join(peers, 'node_modules', '@huggingface', 'transformers', 'dist', 'transformers.node.mjs');
  const library = await import(pathToFileURL(entry).href);
  library.env.localModelPath = dirname(folder);
  library.env.allowRemoteModels = false;
  const name = basename(folder);
  const tokenizer = await library.AutoTokenizer.from_pretrained(name);
  const model = await library.AutoModelForSequenceClassification.from_pretrained(name, {
    dtype: precision,
    device: 'cpu',
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  return {
    versions: `transformers.js ${library.env.version}`,
    tokenize: (texts, maxLength) =>
      tokenizer([...texts], { padding: true, truncation: true, max_length: maxLength }),
    tensor: (data, dims) => new library.Tensor('int64', data, dims),
    run: async (inputs) => {
      const { logits } = await model(inputs);
      return logits.tolist();
    },
  };
}
