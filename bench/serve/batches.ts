/** Figures on batches alone, without a server: from token ids to logits. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer } from '../../gpu-node/data/tokenizer.ts';
import { fastestPrecision } from '../fastest.ts';
import { installTransformersJs } from '../peers/install.ts';
import { median, quartiles, sum } from '../statistics.ts';
import type { AdapterShape, WrittenAdapter } from './adapters.ts';
import { type BatchRow, BatchRunner, type BatchSetup } from './batch-runner.ts';
import { type Bench, freshAdapters } from './bench.ts';
import type { Measured } from './figure.ts';

/** Uncounted runs at the start of each side: they allocate, and the first loads every adapter. */
const WARMUP = 3;

/** Runs 32 rows on 32 adapters, of texts cut at `length` tokens; measures Weft's speed as a multiple of HF PEFT's, each in its fastest precision. */
export async function againstPeft(bench: Bench, length: number): Promise<Measured> {
  const setup = setupFor(bench, await freshAdapters(bench, 32));
  const [ours] = await startAll(bench, 'weft', setup, [await fastestOf(bench, 'weft', setup, length)]);
  const [peer] = await startAll(bench, 'peft', setup, [await fastestOf(bench, 'peft', setup, length)]);
  const batches = await batchesOfTexts(bench, { rows: 32, length, adapters: 32 });
  await takeTurns([ours!, peer!], batches);
  const alike = [
    ...(await startAll(bench, 'weft', setup, ['fp32'])),
    ...(await startAll(bench, 'peft', setup, ['fp32'])),
  ];
  const difference = await takeTurns(alike, batches.slice(0, 1), alike);
  return compared([ours!], [peer!], `logits in fp32 differ by at most ${difference.toExponential(1)}`);
}

/** Precisions that a side has. */
const PRECISIONS = {
  weft: ['fp32', 'int8'],
  peft: ['fp32', 'autocast', 'bf16'],
  'transformers.js': ['fp32', 'q8'],
} as const;

/** The precision in which a side is fastest on batches of 32 rows. */
export async function fastestOf(
  bench: Bench,
  kind: keyof typeof PRECISIONS,
  setup: Setup,
  length: number,
): Promise<string> {
  const adapters = setup.adapters.length;
  const [batch] = await batchesOfTexts({ ...bench, rounds: 1 }, { rows: 32, length, adapters });
  return fastestPrecision(kind, PRECISIONS[kind], async (precision) => {
    const [side] = await startAll(bench, kind, setup, [precision]);
    return { run: async () => (await side!.run(batch!)).ms, stop: () => side!.stop() };
  });
}

/** Runs the same batch, 64 tokens, and encoder and pooling alone; measures the bare base model's time over Weft's. */
export async function againstBareBase(bench: Bench, shape: Partial<AdapterShape> = {}): Promise<Measured> {
  const { precision = 'fp32' } = shape;
  const setup = setupFor(bench, await freshAdapters(bench, 32, shape));
  const ours = await startAll(bench, 'weft', setup, [precision]);
  const bare = await startAll(bench, 'weft', { ...setup, adapters: [] }, [precision]);
  await takeTurns([...ours, ...bare], await batchesOfTexts(bench, { rows: 32, length: 64, adapters: 32 }));
  return compared(ours, bare);
}

/**
 * What each method costs alone: 32 rows on 32 adapters of it in int8, 64 tokens, beside the bare base model; its adapter's bytes, and how long one
 * takes to be loaded. Measures the bare base model's time over the dearest method's.
 */
export async function costOfMethods(bench: Bench, methods: AdapterShape['methods']): Promise<Measured> {
  const costs: { ratio: number; line: string }[] = [];
  for (const method of methods) {
    const adapters = await freshAdapters(bench, 32, { precision: 'int8', methods: [method] });
    const setup = setupFor(bench, adapters);
    const [side] = await startAll(bench, 'weft', setup, ['int8']);
    const [bare] = await startAll(bench, 'weft', { ...setup, adapters: [] }, ['int8']);
    await takeTurns([side!, bare!], await batchesOfTexts(bench, { rows: 32, length: 64, adapters: 32 }));
    const ratio = median(side!.times.map((ms, i) => bare!.times[i]! / ms));
    const name = 'use_dora' in method ? 'dora' : (method.type ?? 'auto');
    const times = `${show(side!)} beside ${show(bare!)}`;
    const load = `${side!.loadMs!.toFixed(1)} ms to load`;
    const bytes = `${(await bytesOf(adapters[0]!.folder)).toLocaleString('en')} bytes`;
    costs.push({ ratio, line: `${name.padEnd(14)} ${ratio.toFixed(2)}  ${times}, ${bytes}, ${load}` });
  }
  return { value: Math.min(...costs.map(({ ratio }) => ratio)), detail: costs.map(({ line }) => line) };
}

async function bytesOf(folder: string): Promise<number> {
  const files = await readdir(folder);
  return sum(await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size)));
}

/** Runs one adapter in fp32 on rows of one length; measures Weft's speed as a multiple of transformers.js's. */
export async function againstTransformersJs(bench: Bench): Promise<Measured> {
  const [adapter] = await freshAdapters(bench, 1);
  const model = await installTransformersJs(bench, adapter!);
  const setup = { ...setupFor(bench, [adapter!]), model };
  const ours = await startAll(bench, 'weft', setup, ['fp32']);
  const peers = await startAll(bench, 'transformers.js', setup, ['fp32']);
  const batches = await batchesOfTexts(bench, { rows: 32, length: 64, adapters: 1, full: true });
  const difference = await takeTurns([...ours, ...peers], batches, [ours[0]!, peers[0]!]);
  return compared(ours, peers, `logits differ by at most ${difference.toExponential(1)}`);
}

/** Runs 64 rows on 64 adapters, and the same rows on one of them. */
export async function distinctAgainstOne(bench: Bench, shape: Partial<AdapterShape> = {}): Promise<Measured> {
  const { precision = 'fp32' } = shape;
  const setup = setupFor(bench, await freshAdapters(bench, 64, shape));
  const [distinct, one] = (await startAll(bench, 'weft', setup, [precision, precision])) as [
    BatchRunner,
    BatchRunner,
  ];
  const batches = await batchesOfTexts(bench, { rows: 64, length: 32, adapters: 64 });
  for (const [i, batch] of batches.entries()) {
    const same = batch.map(({ ids }) => ({ ids, adapter: 0 }));
    for (const side of i % 2 ? [distinct, one] : [one, distinct]) {
      await timed(side, side === one ? same : batch, i);
    }
  }
  await Promise.all([distinct.stop(), one.stop()]);
  const ratios = one.times.map((ms, i) => ms / distinct.times[i]!);
  return { value: median(ratios), detail: [`64 adapters ${show(distinct)}`, `one ${show(one)}`] };
}

/** 32 rows on 32 adapters of several methods in turn, beside the same rows on adapters of the first of them. */
export async function mixedAgainstFirst(
  bench: Bench,
  methods: AdapterShape['methods'],
  { precision = 'fp32' }: Partial<AdapterShape> = {},
): Promise<Measured> {
  const adapters = await freshAdapters(bench, 32 * methods.length, { precision, methods });
  const [mixed] = await startAll(bench, 'weft', setupFor(bench, adapters.slice(0, 32)), [precision]);
  const first = adapters.filter((_, i) => i % methods.length === 0);
  const [uniform] = await startAll(bench, 'weft', setupFor(bench, first), [precision]);
  const batches = await batchesOfTexts(bench, { rows: 32, length: 64, adapters: 32 });
  await takeTurns([mixed!, uniform!], batches);
  const ratios = uniform!.times.map((ms, i) => ms / mixed!.times[i]!);
  return {
    value: median(ratios),
    detail: [`mixed ${show(mixed!)}`, `all as the first ${show(uniform!)}`],
  };
}

export type Setup = Omit<BatchSetup, 'precision'>;

export function setupFor(
  { source: base, threads, peers }: Bench,
  adapters: readonly WrittenAdapter[],
): Setup {
  return { base, threads, peers, adapters: adapters.map(({ folder }) => folder) };
}

function startAll(
  { python }: Bench,
  kind: Parameters<typeof BatchRunner.start>[0],
  setup: Setup,
  precisions: readonly string[],
): Promise<BatchRunner[]> {
  return Promise.all(precisions.map((precision) => BatchRunner.start(kind, python, { ...setup, precision })));
}

interface BatchShape {
  readonly rows: number;
  /** Tokens at which a text is cut. */
  readonly length: number;
  /** Number of adapters; row i is on adapter i modulo this. */
  readonly adapters: number;
  /** True to string texts together until every row has all of its tokens, so that nothing is padding. */
  readonly full?: boolean;
}

async function batchesOfTexts({ texts, rounds, source }: Bench, shape: BatchShape): Promise<BatchRow[][]> {
  const { rows, length, adapters, full = false } = shape;
  const tokenizer = await loadTokenizer(source.folder);
  const next = () => {
    let text = texts.take(1)[0]!.text;
    let { ids } = tokenizer.encode(text, length);
    while (full && ids.length < length) {
      text += ` ${texts.take(1)[0]!.text}`;
      ({ ids } = tokenizer.encode(text, length));
    }
    return [...ids];
  };
  const batch = () => Array.from({ length: rows }, (_, row) => ({ ids: next(), adapter: row % adapters }));
  return Array.from({ length: rounds + WARMUP }, batch);
}

/** Runs every batch on every side, in alternating order, and ends them. Returns the largest difference between the logits of `alike`. */
async function takeTurns(
  sides: readonly BatchRunner[],
  batches: readonly (readonly BatchRow[])[],
  alike: readonly BatchRunner[] = [],
): Promise<number> {
  let furthest = 0;
  for (const [i, batch] of batches.entries()) {
    const logits = new Map<BatchRunner, readonly number[]>();
    for (const side of i % 2 ? sides : sides.toReversed()) logits.set(side, await timed(side, batch, i));
    const [one, other] = alike.map((side) => logits.get(side)!);
    for (const [k, logit] of (one ?? []).entries())
      furthest = Math.max(furthest, Math.abs(logit - other![k]!));
  }
  await Promise.all(sides.map((side) => side.stop()));
  return furthest;
}

async function timed(side: BatchRunner, batch: readonly BatchRow[], round: number): Promise<number[]> {
  const { ms, logits } = await side.run(batch);
  if (round >= WARMUP) side.times.push(ms);
  return logits.flat();
}

/** Compares the best of the peers with the best of ours, turn by turn. */
function compared(ours: readonly BatchRunner[], peers: readonly BatchRunner[], ...notes: string[]): Measured {
  const [best, peer] = [fastest(ours), fastest(peers)];
  const ratios = best.times.map((ms, i) => peer.times[i]! / ms);
  const versions = [...new Set([...ours, ...peers].map(({ versions }) => versions))];
  const times = [...ours, ...peers].map((side) => `${side.name} ${show(side)}`);
  return { value: median(ratios), detail: [...times, ...notes, versions.join('; ')] };
}

function fastest(sides: readonly BatchRunner[]): BatchRunner {
  return sides.reduce((best, side) => (median(side.times) < median(best.times) ? side : best));
}

function show({ times }: BatchRunner): string {
  const [low, high] = quartiles(times);
  return `${median(times).toFixed(1)} ms (${low.toFixed(1)}-${high.toFixed(1)})`;
}
