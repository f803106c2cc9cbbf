import type { Classification, ClassifyRequest } from '../../shared/api/inference.ts';
import type { NodeClassifyResponse } from '../../shared/api/nodes.ts';
import { AppError, type ErrorCode } from '../../shared/errors.ts';
import type { Db } from '../db/client.ts';
import { askNode } from '../nodes/ask-node.ts';
import type { Deadline } from '../nodes/deadline.ts';
import { isolate } from '../nodes/isolate.ts';
import { recentNodes } from '../nodes/live-nodes.ts';
import type { NodeClient } from '../nodes/node-client.ts';
import { type Group, groupByNode } from './group-rows.ts';
import { forgetAdapters, provenance, resolveAdapters, whyNotServable } from './resolve-adapters.ts';

/**
 * Most times that one request resolves its adapters. One deletion may outdate it twice: nodes hear of it before it is made, and they drop
 * the bundle when it is.
 */
const MAX_RESOLUTIONS = 4;

/** One text, the adapter it names, and the request's field that holds it. */
interface Input {
  model: string;
  text: string;
  param: string;
}

/** Milliseconds, each the largest over the nodes asked, which work at the same time. */
export type NodeTiming = NodeClassifyResponse['timing'] & { nodes: number };

export interface Classified {
  /** The adapter, if one answered all texts; otherwise null. */
  model: string | null;
  data: Classification[];
  tokens: number;
  timing: NodeTiming;
}

/** The client and the settings of its request. */
export interface Caller {
  db: Db;
  client: NodeClient;
  tenant: string;
  deadline: Deadline;
}

/** Classifies the texts of a request, in order. A text that cannot be answered fails the whole request and is named in `param`. */
export async function classify(caller: Caller, request: ClassifyRequest): Promise<Classified> {
  const inputs = toInputs(request);
  for (let resolved = 1; ; resolved++) {
    try {
      return await classifyOnce(caller, inputs);
    } catch (error) {
      if (!(error instanceof Outdated)) throw error;
      if (resolved === MAX_RESOLUTIONS) throw error.asProblem();
    }
    // The isolate's memory is stale, or the adapter was deleted on the way; the database knows.
    forgetAdapters(
      caller.tenant,
      inputs.map(({ model }) => model),
    );
  }
}

async function classifyOnce({ db, client, tenant, deadline }: Caller, inputs: Input[]): Promise<Classified> {
  const [adapters, nodes] = await Promise.all([
    resolveAdapters(
      db,
      tenant,
      inputs.map(({ model }) => model),
    ),
    recentNodes(db),
  ]);
  const missing = inputs.find(({ model }) => !adapters.has(model));
  if (missing) throw await whyNotServable(db, tenant, missing.model, missing.param);
  const rows = inputs.map(({ model, text }, index) => ({ index, text, adapter: adapters.get(model)! }));
  const groups = groupByNode(rows, nodes, isolate.traffic);
  const started = Date.now();
  const answers = await Promise.all(groups.map((group) => ask(client, tenant, group, inputs, deadline)));
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

async function ask(
  client: NodeClient,
  tenant: string,
  { node, candidates, rows }: Group,
  inputs: Input[],
  deadline: Deadline,
): Promise<NodeClassifyResponse> {
  const body = {
    rows: rows.map(({ text, adapter }) => ({ bundle: adapter.bundle, text })),
    ...provenance(
      tenant,
      rows.map(({ adapter }) => adapter),
    ),
  };
  const { bundle, baseModel } = rows[0]!.adapter;
  try {
    return await askNode(client, isolate.traffic, { node, candidates, bundle, baseModel, body }, deadline);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const at = /^rows\.(\d+)\./.exec(error.param ?? '')?.[1];
    const input = inputs[(rows[Number(at ?? 0)] ?? rows[0]!).index]!;
    if (isOutdated(error.code)) throw new Outdated(input, error);
    throw at === undefined ? error : atInput(error, input);
  }
}

/** Translates a node's error about a row to the row's place in the client's request. */
function atInput(error: AppError, { model, param }: Input): AppError {
  const { code, message, retryAfter, cause } = error;
  const place = { param, cause, ...(retryAfter !== undefined && { retryAfter }) };
  return new AppError(code, `${param}: the adapter ${model} cannot be served: ${message}`, place);
}

const isOutdated = (code: ErrorCode) => code === 'adapter_stale' || code === 'adapter_not_found';

/** A node refused rows because their resolution is out of date. */
class Outdated extends Error {
  override name = 'Outdated';
  readonly #input: Input;
  readonly #refusal: AppError;

  constructor(input: Input, refusal: AppError) {
    super(refusal.message, { cause: refusal });
    this.#input = input;
    this.#refusal = refusal;
  }

  /**
   * The problem in the client's words, because the node speaks of bundles and changes. Only the database can say that there is no such
   * adapter.
   */
  asProblem(): AppError {
    const { model, param } = this.#input;
    const cause = this.#refusal;
    const message = `${param}: the adapter ${model} is changing; try again shortly.`;
    return new AppError('no_capacity', message, { param, retryAfter: 1, cause });
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
  const most = (part: 'queue' | 'load' | 'tokenize' | 'run') =>
    Math.max(...answers.map(({ timing }) => timing[part] ?? 0));
  return { queue: most('queue'), load: most('load'), tokenize: most('tokenize'), run: most('run') };
}
