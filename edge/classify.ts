import type { Classification, ClassifyRequest } from '../shared/api/inference.ts';
import type { NodeClassifyResponse } from '../shared/api/nodes.ts';
import { AppError } from '../shared/errors.ts';
import { findAdapter, findServable, type ServableAdapter, viewAdapter } from './db/adapters.ts';
import type { Db } from './db/client.ts';

import { recentNodes } from './live-nodes.ts';
import type { NodeClient } from './node-client.ts';
import { type LiveNode, nodesWith, pickNode } from './pick-node.ts';

/** One text, the adapter it names, and where in the request it does. */
interface Input {
  model: string;
  text: string;
  param: string;
}

interface Row {
  index: number;
  text: string;
  adapter: ServableAdapter;
}

/** Rows that one node answers in one call. */
interface Group {
  candidates: LiveNode[];
  rows: Row[];
}

/** Milliseconds, each the largest over the nodes asked, which work at the same time. */
export type NodeTiming = NodeClassifyResponse['timing'] & { nodes: number };

export interface Classified {
  /** The adapter, where one answered for all. */
  model: string | null;
  data: Classification[];
  tokens: number;
  timing: NodeTiming;
}

/** Classifies every text of a request, in its order. One that cannot be answered fails the whole, named in `param`. */
export async function classify(
  db: Db,
  client: NodeClient,
  tenant: string,
  request: ClassifyRequest,
): Promise<Classified> {
  const inputs = toInputs(request);
  const [adapters, nodes] = await Promise.all([resolve(db, tenant, inputs), recentNodes(db)]);
  const rows = inputs.map(({ model, text }, index) => ({ index, text, adapter: adapters.get(model)! }));
  const groups = groupByNode(rows, nodes);
  const started = Date.now();
  const answers = await Promise.all(groups.map((group) => ask(client, group, inputs)));
  const elapsed = Date.now() - started;
  const data = new Array<Classification>(rows.length);
  for (const [i, group] of groups.entries()) mergeInto(data, group, answers[i]!);
  const refs = new Set(data.map((row) => row.model));
  return {
    model: refs.size === 1 ? data[0]!.model : null,
    data,
    tokens: answers.reduce((sum, { rows }) => sum + rows.reduce((n, row) => n + row.tokens, 0), 0),
    timing: { ...slowest(answers), nodes: elapsed },
  };
}

function toInputs(request: ClassifyRequest): Input[] {
  if (!('model' in request)) {
    return request.input.map((input, i) => ({ ...input, param: `input.${i}.model` }));
  }
  const texts = typeof request.input === 'string' ? [request.input] : request.input;
  return texts.map((text) => ({ model: request.model, text, param: 'model' }));
}

async function resolve(db: Db, tenant: string, inputs: Input[]): Promise<Map<string, ServableAdapter>> {
  const refs = [...new Set(inputs.map((input) => input.model))];
  const found = new Map((await findServable(db, tenant, refs)).map((adapter) => [adapter.ref, adapter]));
  const missing = inputs.find((input) => !found.has(input.model));
  if (missing) throw await whyNotServable(db, tenant, missing);
  return found;
}

async function whyNotServable(db: Db, tenant: string, { model, param }: Input): Promise<AppError> {
  const row = await findAdapter(db, tenant, model);
  if (!row) return new AppError('adapter_not_found', `${param}: there is no adapter ${model}.`, { param });
  const { id, status, error } = viewAdapter(row);
  const why = error ? `: ${error.message}` : '';
  return new AppError('adapter_not_ready', `${param}: the adapter ${id} is not ready but ${status}${why}`, {
    param,
  });
}

/** Rows that the same nodes can answer and that go to the same one of them share one call, whatever their base models. */
function groupByNode(rows: Row[], nodes: readonly LiveNode[]): Group[] {
  const groups = new Map<string, Group>();
  const keys = new Map<string, string>();
  for (const row of rows) {
    const { bundle } = row.adapter;
    let key = keys.get(bundle);
    if (key === undefined) {
      const candidates = nodesWith(nodes, row.adapter);
      key = [pickNode(candidates, bundle), ...candidates].map((node) => node?.id).join(' ');
      keys.set(bundle, key);
      if (!groups.has(key)) groups.set(key, { candidates, rows: [] });
    }
    groups.get(key)!.rows.push(row);
  }
  return [...groups.values()];
}

async function ask(
  client: NodeClient,
  { candidates, rows }: Group,
  inputs: Input[],
): Promise<NodeClassifyResponse> {
  const body = { rows: rows.map(({ text, adapter }) => ({ bundle: adapter.bundle, text })) };
  try {
    return await client.classify(candidates, rows[0]!.adapter, body);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'adapter_not_found') throw error;
    // The node names a bundle, or was too late to get one that has just been deleted: say it in the client's words.
    const { model, param } = inputs[rows[0]!.index]!;
    throw new AppError('adapter_not_found', `${param}: there is no adapter ${model} any more.`, {
      param,
      cause: error,
    });
  }
}

function mergeInto(data: Classification[], { rows }: Group, answer: NodeClassifyResponse): void {
  for (const [i, { index, adapter }] of rows.entries()) {
    const { scores, truncated } = answer.rows[i]!;
    const labels = answer.labels[adapter.bundle];
    if (labels?.length !== scores.length) {
      throw new AppError('upstream_failed', 'A node answered with other labels than the adapter has.');
    }
    let best = 0;
    for (const [k, score] of scores.entries()) if (score > scores[best]!) best = k;
    data[index] = {
      index,
      model: `${adapter.name}@${adapter.version}`,
      label: labels[best]!,
      score: scores[best]!,
      scores: Object.fromEntries(labels.map((label, k) => [label, scores[k]!])),
      truncated,
    };
  }
}

function slowest(answers: NodeClassifyResponse[]): NodeClassifyResponse['timing'] {
  const most = (part: 'queue' | 'load' | 'run') => Math.max(...answers.map(({ timing }) => timing[part]));
  return { queue: most('queue'), load: most('load'), run: most('run') };
}
