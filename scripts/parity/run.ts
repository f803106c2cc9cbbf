/**
 * Checks adapters both ways against HF PEFT, through the parts that users meet: a training process trains, the serving workers answer
 * texts, and PEFT loads the same files. `npm run parity`
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../../gpu-node/log.ts';
import { locateBaseModel } from '../../gpu-node/weights/locate-base-model.ts';
import { virtualTokensOf } from '../../shared/methods/text-room.ts';
import { type PeftRequest, type Pooling, peftRequest } from '../../shared/peft-config.ts';
import { homeFolder } from '../home.ts';
import { quickstartTasks } from '../quickstart/data.ts';
import { peftPython, runCommand } from './python.ts';
import { adopt, exportMerged, type ParityBase, serve, trainHere } from './weft.ts';

/** Largest accepted difference of a log probability. */
const TOLERANCE = 1e-4;
const MAX_LENGTH = 48;

const OURS: Record<string, PeftRequest> = {
  'mean-query-value': peftRequest.parse({ type: 'lora', pooling: 'mean', r: 8 }),
  'cls-all-linear': peftRequest.parse({
    type: 'lora',
    pooling: 'cls',
    r: 4,
    alpha: 4,
    target_modules: 'all-linear',
    use_rslora: true,
  }),
  'mean-all-linear': peftRequest.parse({ type: 'lora', pooling: 'mean', r: 2, target_modules: 'all-linear' }),
  'mean-query-value-dora': peftRequest.parse({ type: 'lora', pooling: 'mean', r: 4, use_dora: true }),
  'cls-all-linear-dora': peftRequest.parse({
    type: 'lora',
    pooling: 'cls',
    r: 2,
    target_modules: 'all-linear',
    use_rslora: true,
    use_dora: true,
  }),
  'mean-ia3': peftRequest.parse({ type: 'ia3', pooling: 'mean' }),
  'cls-ia3': peftRequest.parse({ type: 'ia3', pooling: 'cls', target_modules: 'all-linear' }),
  'mean-road': peftRequest.parse({ type: 'road', pooling: 'mean' }),
  'cls-road-4': peftRequest.parse({ type: 'road', pooling: 'cls', variant: 'road_4', group_size: 8 }),
  'cls-prompt-tuning': peftRequest.parse({
    type: 'prompt_tuning',
    pooling: 'cls',
    num_virtual_tokens: 6,
    init: { text: 'Is this message spam?' },
  }),
  'mean-p-tuning-lstm': peftRequest.parse({
    type: 'p_tuning',
    pooling: 'mean',
    num_virtual_tokens: 5,
    encoder: 'lstm',
    encoder_hidden_size: 8,
    encoder_dropout: 0.1,
  }),
  'mean-bitfit': peftRequest.parse({ type: 'bitfit', pooling: 'mean' }),
  'cls-bitfit-subset': peftRequest.parse({
    type: 'bitfit',
    pooling: 'cls',
    biases: 'query_and_intermediate',
  }),
};

interface TheirCase {
  name: string;
  pooling: Pooling;
  max_length: number;
  /** Number type of the imported file. */
  dtype: 'float32' | 'float16' | 'bfloat16';
  /** PEFT's name of the method, LORA by default, and its configuration. */
  peft_type?: 'IA3' | 'ROAD' | 'PROMPT_TUNING' | 'P_TUNING';
  config: Record<string, unknown>;
  /** Part of the names of the parameters that PEFT must not train. */
  frozen?: string;
}

const THEIRS: TheirCase[] = [
  {
    name: 'mean-query-value',
    pooling: 'mean',
    max_length: MAX_LENGTH,
    dtype: 'float32',
    config: { r: 8, lora_alpha: 16, lora_dropout: 0.1, target_modules: ['query', 'value'] },
  },
  {
    name: 'mean-half',
    pooling: 'mean',
    max_length: MAX_LENGTH,
    dtype: 'float16',
    config: { r: 2, lora_alpha: 4, target_modules: 'all-linear', exclude_modules: ['dense'] },
  },
  {
    name: 'cls-patterns',
    pooling: 'cls',
    max_length: MAX_LENGTH,
    dtype: 'bfloat16',
    config: {
      r: 4,
      lora_alpha: 8,
      target_modules: ['query', 'key', 'output.dense'],
      rank_pattern: { 'attention.output.dense': 2 },
      alpha_pattern: { 'layer.1.attention.self.query': 2 },
    },
  },
  {
    name: 'mean-all-linear-dora',
    pooling: 'mean',
    max_length: MAX_LENGTH,
    dtype: 'float32',
    config: { r: 4, lora_alpha: 8, lora_dropout: 0.1, target_modules: 'all-linear', use_dora: true },
  },
  {
    name: 'cls-patterns-dora',
    pooling: 'cls',
    max_length: MAX_LENGTH,
    dtype: 'float16',
    config: {
      r: 4,
      lora_alpha: 8,
      target_modules: ['query', 'output.dense', 'pooler.dense'],
      rank_pattern: { 'attention.output.dense': 2 },
      use_rslora: true,
      use_dora: true,
    },
  },
  {
    name: 'cls-ia3',
    pooling: 'cls',
    max_length: MAX_LENGTH,
    dtype: 'float32',
    peft_type: 'IA3',
    config: {
      target_modules: ['key', 'value', 'output.dense'],
      feedforward_modules: ['output.dense'],
    },
  },
  {
    name: 'cls-road-4',
    pooling: 'cls',
    max_length: MAX_LENGTH,
    dtype: 'bfloat16',
    peft_type: 'ROAD',
    config: { variant: 'road_4', group_size: 8, target_modules: ['key', 'output.dense'] },
  },
  {
    name: 'mean-road-1',
    pooling: 'mean',
    max_length: MAX_LENGTH,
    dtype: 'float32',
    peft_type: 'ROAD',
    config: { group_size: 16, target_modules: ['query', 'value'] },
  },
  {
    name: 'cls-bitfit',
    pooling: 'cls',
    max_length: MAX_LENGTH,
    dtype: 'float16',
    config: { r: 2, bias: 'all', target_modules: ['query', 'output.dense'] },
    frozen: 'lora_',
  },
];

/** PEFT does not find DistilBERT's sizes, which it is told then. */
function promptCases(sizes: Record<string, number> = {}): TheirCase[] {
  return [
    {
      name: 'mean-prompt-tuning',
      pooling: 'mean',
      max_length: MAX_LENGTH,
      dtype: 'float16',
      peft_type: 'PROMPT_TUNING',
      config: { num_virtual_tokens: 9, ...sizes },
    },
    {
      name: 'cls-p-tuning',
      pooling: 'cls',
      max_length: MAX_LENGTH,
      dtype: 'float32',
      peft_type: 'P_TUNING',
      config: {
        num_virtual_tokens: 4,
        encoder_reparameterization_type: 'LSTM',
        encoder_hidden_size: 12,
        encoder_dropout: 0.1,
        ...sizes,
      },
    },
  ];
}

/** PEFT's own `all-linear` fails here: it also wraps `pre_classifier`, which it has to save as a whole. */
const THEIRS_FOR_DISTILBERT: TheirCase[] = [
  {
    name: 'mean-half',
    pooling: 'mean',
    max_length: MAX_LENGTH,
    dtype: 'float16',
    config: { r: 4, lora_alpha: 8, lora_dropout: 0.1, target_modules: ['q_lin', 'v_lin'] },
  },
  {
    name: 'cls-patterns',
    pooling: 'cls',
    max_length: MAX_LENGTH,
    dtype: 'bfloat16',
    config: {
      r: 4,
      lora_alpha: 8,
      target_modules: 'all-linear',
      exclude_modules: ['pre_classifier'],
      rank_pattern: { 'ffn.lin1': 2 },
      alpha_pattern: { 'layer.1.attention.q_lin': 2 },
    },
  },
  {
    name: 'mean-ia3',
    pooling: 'mean',
    max_length: MAX_LENGTH,
    dtype: 'bfloat16',
    peft_type: 'IA3',
    config: { target_modules: ['k_lin', 'v_lin', 'lin2'], feedforward_modules: ['lin2'] },
  },
  {
    name: 'mean-road-2',
    pooling: 'mean',
    max_length: MAX_LENGTH,
    dtype: 'float32',
    peft_type: 'ROAD',
    config: { variant: 'road_2', group_size: 16, target_modules: ['q_lin', 'lin1'] },
  },
  {
    name: 'mean-bitfit',
    pooling: 'mean',
    max_length: MAX_LENGTH,
    dtype: 'float32',
    config: { r: 1, bias: 'all', target_modules: ['v_lin'] },
    frozen: 'lora_',
  },
];

const BASES: Readonly<Record<string, readonly TheirCase[]>> = {
  'test/fixtures/tiny-bert': [...THEIRS, ...promptCases()],
  'test/fixtures/tiny-roberta': [...THEIRS, ...promptCases()],
  'test/fixtures/tiny-xlm-roberta': [...THEIRS, ...promptCases()],
  'test/fixtures/tiny-distilbert': [
    ...THEIRS_FOR_DISTILBERT,
    ...promptCases({ token_dim: 16, num_attention_heads: 2 }),
  ],
  'minilm-l6-384': [...THEIRS, ...promptCases()],
};

const [task] = quickstartTasks();
const rows = task.train.slice(0, 64);
const texts = [...task.heldOut.slice(0, 10).map(({ text }) => text), 'Ünïcödé 你好 👍🏽 [SEP] x', 'short'];
const labels = ['ham', 'spam'];
const home = homeFolder();
const python = await peftPython(home);
const work = await mkdtemp(join(tmpdir(), 'weft-parity-'));
let failed = false;
try {
  for (const [name, theirs] of Object.entries(BASES)) await checkBase(name, theirs);
} finally {
  await rm(work, { recursive: true, force: true });
}
if (failed) {
  console.error(`parity is broken: log probabilities may differ by ${TOLERANCE}, and must tell texts apart`);
  process.exitCode = 1;
}

async function checkBase(name: string, theirCases: readonly TheirCase[]): Promise<void> {
  const located = await locateBaseModel(name, { home, log: createLog(process.stderr, true) });
  const folder = join(work, located.id);
  const base: ParityBase = { ...located, weightsFolder: join(folder, 'weights') };
  const ours = Object.keys(OURS).map((each) => join(folder, 'ours', each));
  for (const [i, method] of Object.values(OURS).entries()) await trainHere(base, ours[i]!, rows, method);
  const plan = { base: base.folder, texts, rows, labels, theirs: theirCases };
  await writeFile(join(folder, 'plan.json'), JSON.stringify(plan));
  const servedOurs = await serve(base, ours, texts, join(folder, 'cache'));
  await writeExpected(ours, servedOurs);
  // Trained tokens cannot be merged into weights.
  const mergeable = ours.filter((_, i) => virtualTokensOf(Object.values(OURS)[i]!) === 0);
  await exportMerged(base, mergeable, join(folder, 'cache'));
  await runCommand(python, ['scripts/parity/parity.py', folder]);
  for (const [i, adapter] of ours.entries()) {
    const difference = await readJson(join(adapter, 'difference.json'));
    report(adapter, 'trained by Weft, loaded by PEFT', difference, servedOurs[i]!);
    if (!mergeable.includes(adapter)) continue;
    const merged = await readJson(join(adapter, 'merged-difference.json'));
    report(adapter, 'merged by Weft, loaded by transformers', merged, servedOurs[i]!);
  }

  const theirs = theirCases.map((each) => join(folder, 'theirs', each.name));
  for (const [i, { pooling, max_length }] of theirCases.entries()) {
    await adopt(theirs[i]!, {
      labels,
      pooling,
      max_length,
      base_model: base.id,
      base_model_sha256: base.sha256,
    });
  }
  const served = await serve(base, theirs, texts, join(folder, 'cache'));
  for (const [i, adapter] of theirs.entries()) {
    const { log_probabilities } = await readJson<{ log_probabilities: number[][] }>(
      join(adapter, 'expected.json'),
    );
    const difference = largestDifference(served[i]!, log_probabilities);
    report(adapter, 'trained by PEFT, served by Weft', difference, served[i]!);
  }
}

async function writeExpected(folders: readonly string[], served: readonly number[][][]): Promise<void> {
  for (const [i, adapter] of folders.entries()) {
    await writeFile(join(adapter, 'expected.json'), JSON.stringify({ log_probabilities: served[i] }));
  }
}

async function readJson<T = number>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, 'utf8')) as T;
}

function largestDifference(a: readonly number[][], b: readonly number[][]): number {
  return Math.max(...a.flatMap((row, i) => row.map((value, j) => Math.abs(value - b[i]![j]!))));
}

/** Reports a comparison. An adapter whose scores do not depend on the text would agree with anything, so they must tell texts apart. */
function report(adapter: string, what: string, difference: number, served: readonly number[][]): void {
  const first = served.map((row) => row[0]!);
  const range = Math.max(...first) - Math.min(...first);
  const fine = difference < TOLERANCE && range > 100 * TOLERANCE;
  failed ||= !fine;
  const figures = `largest difference ${difference.toExponential(1)} in a range of ${range.toFixed(2)}`;
  console.log(`${fine ? 'ok  ' : 'FAIL'} ${adapter.slice(work.length + 1)}: ${what}, ${figures}`);
}
