/** Single short texts through the edge: the Worker in workerd, as Miniflare runs it. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { edgeStateFolder, nodeSecret } from '../../scripts/home.ts';
import { type Platform, startPlatform } from '../../scripts/platform.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from '../../shared/adapter-format.ts';
import { median } from '../statistics.ts';
import { writeAdapters } from './adapters.ts';
import { type Bench, freshAdapters, USUAL_SHAPE } from './bench.ts';
import type { Served } from './daemon.ts';
import type { Measured } from './figure.ts';
import { LoadProcess } from './load.ts';

/** Texts of one side's turn, sent one after another over one kept connection. */
const TURN = 20;
/** Words of a short text. */
const WORDS = 8;
/** Uncounted turns at the start. */
const WARMUP = 2;

/** Measures the milliseconds that the edge adds to the node's own answer: medians of the same number of texts in turn. */
export async function aboveNode(bench: Bench): Promise<Measured> {
  const { edge, node } = await singleTexts(bench);
  return { value: median(edge) - median(node), detail: [shown(edge, node)] };
}

/** Measures the median answer to a single short text, in milliseconds. */
export async function shortText(bench: Bench): Promise<Measured> {
  const { edge, node } = await singleTexts(bench);
  return { value: median(edge), detail: [shown(edge, node)] };
}

function shown(edge: readonly number[], node: readonly number[]): string {
  const [through, own] = [edge, node].map((latencies) => median(latencies).toFixed(2));
  return `through the edge ${through} ms, the node's own answer ${own} ms, medians of ${edge.length}`;
}

async function singleTexts(bench: Bench): Promise<Record<'edge' | 'node', number[]>> {
  await freshAdapters(bench, 0);
  await rm(edgeStateFolder(bench.home), { recursive: true, force: true });
  let nodeUrl = '';
  await using platform = await startPlatform({
    port: 0,
    home: bench.home,
    nodeEnv: { WEFT_BASE_MODEL: bench.source.folder, WEFT_THREADS: String(bench.threads) },
    log: (line) => {
      nodeUrl ||= /\burl=(\S+)/.exec(line)?.[1] ?? '';
    },
  });
  await using load = await LoadProcess.start();
  await importAdapter(bench, platform);
  const texts = (count: number) =>
    bench.texts.take(count).map(({ text }) => text.split(/\s+/).slice(0, WORDS).join(' '));
  const edge = { url: `${platform.url}/v1/classify`, token: platform.key };
  const edgeBodies = () => texts(TURN).map((input) => JSON.stringify({ model: 'bench', input }));
  await load.run({ ...edge, bodies: edgeBodies(), connections: 1 });
  const node: Served = { url: `${nodeUrl}/internal/classify`, token: await nodeSecret(bench.home) };
  const [bundle] = await readdir(join(bench.home, 'cache', 'adapters'));
  const nodeBodies = () => texts(TURN).map((text) => JSON.stringify({ rows: [{ bundle, text }] }));
  const latencies: Record<'edge' | 'node', number[]> = { edge: [], node: [] };
  for (let round = 0; round < bench.rounds + WARMUP; round++) {
    const turns = {
      edge: () => load.run({ ...edge, bodies: edgeBodies(), connections: 1 }),
      node: () => load.run({ ...node, bodies: nodeBodies(), connections: 1 }),
    };
    for (const side of round % 2 ? (['edge', 'node'] as const) : (['node', 'edge'] as const)) {
      const result = await turns[side]();
      if (round >= WARMUP) latencies[side].push(...result.latencies);
    }
  }
  return latencies;
}

/** Imports an adapter of random weights into the platform, under the name `bench`. */
async function importAdapter({ home, source }: Bench, { url, key }: Platform): Promise<void> {
  const shape = { ...USUAL_SHAPE, precision: 'int8' } as const;
  const [adapter] = await writeAdapters(join(home, 'import'), source, 1, shape);
  const form = new FormData();
  for (const name of [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE]) {
    form.set(name, new File([await readFile(join(adapter!.folder, name))], name));
  }
  const fields = { name: 'bench', base_model: source.id, base_precision: shape.precision, pooling: 'mean' };
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  form.set('max_length', String(shape.maxLength));
  form.set('labels', JSON.stringify(Array.from({ length: shape.labels }, (_, i) => `label ${i}`)));
  const headers = { authorization: `Bearer ${key}` };
  const response = await fetch(`${url}/v1/adapters/import`, { method: 'POST', headers, body: form });
  if (!response.ok) throw new Error(`the edge refused the adapter: ${await response.text()}`);
}
