import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type BaseModelSource, openBaseModel } from '../../gpu-node/models/open-base-model.ts';
import type { AdapterSource } from '../../gpu-node/serve/adapter-store.ts';
import { Classifier } from '../../gpu-node/serve/classifier.ts';
import { Exporter } from '../../gpu-node/serve/exporter.ts';
import { nodeApp } from '../../gpu-node/serve/http.ts';
import { ServingLease } from '../../gpu-node/serve/serving-lease.ts';
import { type BundleBytes, bundleId } from '../../gpu-node/weights/bundle-files.ts';
import { type NodeClassifyResponse, nodeClassifyResponse } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { type BundleShape, randomBundle } from './bundles.ts';
import { parseExposition } from './exposition.ts';
import { recordingLog } from './logs.ts';
import { otherTinyBert, TINY_BERT } from './tiny-bert.ts';

export const NODE_SECRET = 'the node secret';
/** Room for 256 texts of a tenant that are estimated as long as an adapter may cut them, and as much for others. */
const QUEUE_TOKENS = 2 * 256 * 512;

/** Bundles that the edge would have; one may be held back until its gate opens. */
class Shelf implements AdapterSource {
  readonly bundles = new Map<string, BundleBytes>();
  readonly gates = new Map<string, Promise<void>>();
  downloads = 0;

  async downloadAdapter(bundle: string, folder: string): Promise<void> {
    this.downloads++;
    await this.gates.get(bundle);
    const files = this.bundles.get(bundle);
    if (!files) throw new AppError('adapter_not_found', 'there is no such adapter');
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
  }

  async put(files: BundleBytes): Promise<string> {
    const id = bundleId(files);
    this.bundles.set(id, files);
    return id;
  }
}

interface Text {
  bundle: string;
  text: string;
}

export type TinyNode = Awaited<ReturnType<typeof startTinyNode>>;

/** A node's serving on two tiny base models behind its HTTP interface, in this process; its edge is a shelf of bundles. */
export async function startTinyNode({ threads = 1, sessionBytes = 1e9 } = {}) {
  const { log, lines } = recordingLog();
  const shelf = new Shelf();
  const folder = await mkdtemp(join(tmpdir(), 'weft-http-'));
  const source: BaseModelSource = {
    id: 'tiny-bert',
    folder: TINY_BERT,
    sha256: '0'.repeat(64),
    weightsFolder: folder,
  };
  const otherSource = await otherTinyBert(folder);
  const [base, otherBase] = [await openBaseModel(source), await openBaseModel(otherSource)];
  const classifier = await Classifier.open({
    bases: [source, otherSource],
    cache: { folder: join(folder, 'adapters'), maxBytes: 1e9, source: shelf },
    device: 'cpu',
    threads,
    slots: 64,
    batchTokens: 4096,
    queueTokens: QUEUE_TOKENS,
    memoryBytes: 1e9,
    sessionBytes,
    log,
  });
  // Its lease never ends.
  const serving = new ServingLease(() => 0);
  serving.renew(0, { lease_seconds: 10, head: 0, changes: null });
  const exporter = new Exporter({
    bases: [source, otherSource],
    store: classifier.store,
    cache: join(folder, 'adapters'),
  });
  const app = nodeApp({
    secret: NODE_SECRET,
    classifier,
    exporter,
    serving,
    log,
    health: () => ({
      status: 'ok',
      id: 'node_1',
      device: 'cpu',
      base_models: ['tiny-bert'],
      adapters_resident: classifier.resident,
      training: 0,
      queue: classifier.queue,
    }),
    samples: () => ({ ...classifier.samples, exports: exporter.running, training_jobs: 0 }),
  });

  const post = async (path: string, body: unknown, init: RequestInit = {}): Promise<Response> =>
    app.request(path, {
      method: 'POST',
      headers: { authorization: `Bearer ${NODE_SECRET}`, 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...init,
    });
  const get = async (path: string): Promise<Response> =>
    app.request(path, { headers: { authorization: `Bearer ${NODE_SECRET}` } });
  const send = (rows: Text[], init: RequestInit = {}) => post('/internal/classify', { rows }, init);

  return {
    shelf,
    store: classifier.store,
    classifier,
    exporter,
    /** What it has logged. */
    lines,
    base,
    source,
    post,
    get,
    send,
    sendAs: (tenant: string, rows: Text[]) => post('/internal/classify', { tenant, rows }),
    /** Puts an adapter for the first base model on the shelf. */
    adapter: (shape: BundleShape) => shelf.put(randomBundle(base, source, shape)),
    otherAdapter: (shape: BundleShape) => shelf.put(randomBundle(otherBase, otherSource, shape)),
    classify: async (...rows: Text[]): Promise<NodeClassifyResponse> => {
      const response = await send(rows);
      expect(response.status, await response.clone().text()).toBe(200);
      return nodeClassifyResponse.parse(await response.json());
    },
    tierOf: async (bundle: string): Promise<unknown> => {
      const answer = (await (await get(`/internal/adapters/${bundle}`)).json()) as { tier: unknown };
      return answer.tier;
    },
    /** A series of the metrics, by its name without the prefix and its labels. */
    metric: async (name: string, labels = '{}'): Promise<number | undefined> => {
      const families = parseExposition(await (await get('/metrics')).text());
      return families.get(`weft_${name}`)?.series.get(labels);
    },
    /** Holds an adapter back until the function that it gives is called. */
    holdBack: (bundle: string): (() => void) => {
      const gate = Promise.withResolvers<void>();
      shelf.gates.set(bundle, gate.promise);
      return gate.resolve;
    },
    stop: async () => {
      await classifier.stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** Status, code and param of a refusal. */
export async function problemOf(response: Response): Promise<[number, string, unknown]> {
  const { status, error } = (await response.json()) as {
    status: number;
    error: { code: string; param: unknown };
  };
  expect(status).toBe(response.status);
  return [status, error.code, error.param];
}
