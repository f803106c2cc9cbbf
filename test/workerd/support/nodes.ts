import { env } from 'cloudflare:workers';
import { randomHex } from '../../../edge/hashing.ts';
import { attemptPrefix } from '../../../edge/objects/object-keys.ts';
import { putBytes } from '../../../edge/objects/storage.ts';
import { ServingLease } from '../../../gpu-node/serve/serving-lease.ts';
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  type BundleManifest,
  LAYOUTS,
  type LayoutFile,
  WEFT_FILE,
  type WeftFile,
} from '../../../shared/adapter-format.ts';
import type {
  CompleteJob,
  HeartbeatResponse,
  JobLease,
  NameChange,
  NodeClassifyRequest,
  NodeClassifyResponse,
  ResolvedTraining,
} from '../../../shared/api/nodes.ts';
import type { TaskLease } from '../../../shared/api/tasks.ts';
import { type AppError, problem } from '../../../shared/errors.ts';
import type { BasePrecision } from '../../../shared/peft-config.ts';
import { callAsNode, db } from './api.ts';
import { configFile, MODULES, weightsFile } from './bundle-files.ts';

export const BASE_SHA256 = 'b'.repeat(64);

const nodesByOrigin = new Map<string, TestNode>();

/** A node as the edge sees it: registered, beating, and (with `serve`) answering classifications. */
export class TestNode {
  readonly id = `node_${randomHex(8)}`;
  readonly url: string;
  /** The first of its base models. */
  readonly baseModel: string;
  /** What it knows of names; its clock stands until a test moves it. */
  serving = new ServingLease(() => this.now);
  now = 0;
  /** Bundles that it was told to warm. */
  readonly warmed: string[] = [];
  /** Where it has a bundle. */
  readonly tiers = new Map<string, string>();
  readonly #baseModels: readonly string[];
  #cursor = 0;

  constructor(...baseModels: string[]) {
    this.#baseModels = baseModels.length > 0 ? baseModels : [`base-${randomHex(3)}`];
    this.baseModel = this.#baseModels[0]!;
    this.url = `https://${this.id.replace('_', '-')}.test`;
    nodesByOrigin.set(this.url, this);
  }

  async register(precisions: readonly BasePrecision[] = ['fp32'], more: object = {}): Promise<this> {
    const shape = { family: 'bert' as const, hidden_size: 384, num_layers: 6, max_length: 256, ...more };
    const json = {
      id: this.id,
      url: this.url,
      device: 'cpu',
      base_models: this.#baseModels.map((id) => ({ id, sha256: BASE_SHA256, precisions, ...shape })),
      slots: 8,
      version: '0',
    };
    const { status, body } = await callAsNode('/internal/nodes', { json });
    if (status !== 200) throw new Error(`registering: ${JSON.stringify(body)}`);
    this.serving.renew(this.now, body.serving);
    return this;
  }

  async beat(jobs: object[] = [], wantsJob = false, more: object = {}): Promise<HeartbeatResponse> {
    const json = {
      jobs,
      wants_job: wantsJob,
      deletions_after: this.#cursor,
      changes_after: this.serving.head,
      ...more,
    };
    const { status, body } = await callAsNode(`/internal/nodes/${this.id}/heartbeat`, { json });
    if (status !== 200) throw new Error(`beating: ${JSON.stringify(body)}`);
    this.#cursor = body.deletions_cursor;
    this.serving.renew(this.now, body.serving);
    return body;
  }

  /** Starts anew, and knows nothing. */
  async restart(): Promise<void> {
    this.serving = new ServingLease(() => this.now);
    await this.register();
  }

  /** Answers what the edge asks or tells every node; undefined for anything else. */
  answer(path: string, body: { changes?: NameChange[]; bundles?: string[] } | undefined) {
    if (path === '/internal/changes') {
      this.serving.learn(body!.changes!);
      return Response.json({ known: body!.changes!.length });
    }
    if (path === '/internal/warm') {
      this.warmed.push(...body!.bundles!);
      return Response.json({ accepted: body!.bundles!.length }, { status: 202 });
    }
    const bundle = /^\/internal\/adapters\/(.+)$/.exec(path)?.[1];
    return bundle === undefined ? undefined : Response.json({ tier: this.tiers.get(bundle) ?? null });
  }

  async lease(): Promise<JobLease | null> {
    return (await this.beat([], true)).lease;
  }

  /** Beats with these tasks under way, and takes another one. */
  async leaseTask(tasks: object[] = []): Promise<TaskLease | null> {
    return (await this.beat([], false, { tasks, wants_task: true })).task_lease;
  }
}

export const RESOLVED: ResolvedTraining = {
  method: {
    type: 'lora',
    r: 8,
    alpha: 16,
    dropout: 0,
    use_rslora: false,
    use_dora: false,
    target_modules: ['query', 'value'],
    pooling: 'mean',
    base_precision: 'fp32',
  },
  hyperparameters: {
    epochs: 3,
    batch_size: 8,
    learning_rate: 1e-3,
    max_length: 128,
    warmup_ratio: 0.1,
    weight_decay: 0.01,
    max_grad_norm: 1,
    class_weights: 'none',
  },
  labels: ['ham', 'spam'],
  trained_parameters: 1234,
};

/** The three files of an adapter that was trained under a lease; those of another seed differ. */
export function bundleFiles(
  { job_id, base_model, base_model_sha256 }: Pick<JobLease, 'job_id' | 'base_model' | 'base_model_sha256'>,
  { method, hyperparameters, labels } = RESOLVED,
  seed = job_id,
): Record<LayoutFile<'peft'>, Uint8Array> {
  const { pooling, base_precision } = method;
  const rank = method.type === 'lora' ? { r: method.r } : {};
  const { max_length } = hyperparameters;
  const weft: WeftFile = {
    format: 1,
    labels,
    pooling,
    max_length,
    base_model,
    base_model_sha256,
    base_precision,
    metrics: null,
  };
  const encode = (text: string) => new TextEncoder().encode(text);
  const modules = MODULES.slice(0, 1);
  return {
    [ADAPTER_CONFIG_FILE]: encode(configFile({ baseModel: base_model, ...rank, revision: seed })),
    [ADAPTER_WEIGHTS_FILE]: weightsFile({ labels: labels.length, ...rank, modules }),
    [WEFT_FILE]: encode(JSON.stringify(weft)),
  };
}

/** Puts an attempt's three files where the upload route puts them. */
export async function uploadBundle(
  lease: JobLease,
  seed?: string,
  resolved = RESOLVED,
  files = bundleFiles(lease, resolved, seed),
): Promise<BundleManifest> {
  const prefix = attemptPrefix(lease.job_id, lease.attempt);
  const manifest: BundleManifest = [];
  for (const name of LAYOUTS.peft.files) {
    manifest.push({ name, ...(await putBytes(env, db, prefix + name, files[name])) });
  }
  return manifest;
}

export function completion(lease: JobLease, manifest: BundleManifest): CompleteJob {
  return {
    token: lease.token,
    resolved: RESOLVED,
    manifest,
    metrics: null,
    trained_tokens: 1234,
    events: [],
  };
}

/** Trains nothing, but brings a leased job to its end as a node does. */
export async function finish(lease: JobLease, seed?: string, resolved = RESOLVED): Promise<void> {
  const json = { ...completion(lease, await uploadBundle(lease, seed, resolved)), resolved };
  const { status, body } = await callAsNode(`/internal/jobs/${lease.job_id}/complete`, { json });
  if (status !== 200) throw new Error(`completing: ${JSON.stringify(body)}`);
}

/** A call that the edge made to a node. */
export interface NodeCall {
  url: string;
  body: NodeClassifyRequest & { bundles?: string[]; changes?: NameChange[] };
  secret: string | null;
  requestId: string | null;
}

/**
 * Answers the edge's calls to nodes in their place; the Worker and its tests share `fetch`. What nodes know is their own;
 * `answer` gives a response to the rest, or throws as a lost connection does. Returns those calls, and what undoes it.
 */
export function serveNodes(answer: (call: NodeCall) => Response | Promise<Response>) {
  const calls: NodeCall[] = [];
  const original = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const request = new Request(input as RequestInfo, init);
    const { origin, pathname } = new URL(request.url);
    const node = nodesByOrigin.get(origin);
    const body = request.method === 'POST' ? await request.json<NodeCall['body']>() : undefined;
    const own = node?.answer(pathname, body);
    if (own) return own;
    const call = {
      url: request.url,
      body: body!,
      secret: request.headers.get('authorization'),
      requestId: request.headers.get('x-request-id'),
    };
    calls.push(call);
    try {
      if (pathname === '/internal/classify') node?.serving.admit(call.body);
    } catch (error) {
      return refusalOf(error as AppError);
    }
    return answer(call);
  };
  const restore = () => {
    globalThis.fetch = original;
  };
  return { calls, restore };
}

/** What a node answers that refuses. */
export function refusalOf(error: AppError): Response {
  const headers = error.retryAfter === undefined ? {} : { 'retry-after': String(error.retryAfter) };
  return Response.json(problem(error, 'r'), { status: error.status, headers });
}

// No node classifies until a test says how; but they hear what they are told.
serveNodes(() => {
  throw new TypeError('connection refused');
});

/** Scores that depend on a text and its bundle alone, so that a wrong merge shows. */
export function fakeScores(bundle: string, text: string): number[] {
  const share = ((bundle.charCodeAt(0) * 31 + text.length * 7) % 97) / 97;
  return [share, 1 - share];
}

export function classifyAsNode({ body }: NodeCall): Response {
  const answer: NodeClassifyResponse = {
    labels: Object.fromEntries(body.rows.map(({ bundle }) => [bundle, RESOLVED.labels])),
    rows: body.rows.map(({ bundle, text }) => ({
      scores: fakeScores(bundle, text),
      tokens: text.length,
      truncated: false,
    })),
    timing: { queue: 1, load: 2, tokenize: 4, run: 3 },
  };
  return Response.json(answer);
}
