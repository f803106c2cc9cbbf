import { workerData } from 'node:worker_threads';
import type { AdapterDescription } from '../../shared/adapter-description.ts';
import { ADAPTER_WEIGHTS_FILE } from '../../shared/adapter-format.ts';
import { AppError, type ErrorCode } from '../../shared/errors.ts';
import { formatOf } from '../../shared/methods/index.ts';
import { virtualTokensIn } from '../../shared/methods/text-room.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import { methodOf, placeholdersOf, planOf } from '../methods/index.ts';
import { adapterBase } from '../models/adapter-base.ts';
import { type BaseModelOutline, type BaseModelSource, outlineBaseModel } from '../models/open-base-model.ts';
import { Moved, serveCalls } from '../runtime/worker-thread.ts';
import { headAlone, readAdapterFiles, readWeftFile } from '../weights/adapter-file.ts';
import {
  type BundleBytes,
  bundleId,
  bundleSize,
  joinWeights,
  readBundleFiles,
} from '../weights/bundle-files.ts';
import type { SessionGroup } from './session-group.ts';
import { SharedValues } from './shared-values.ts';

export interface CheckWorkerData {
  bases: readonly BaseModelSource[];
}

/** Facts of an adapter's files, which fit each other and their base model. */
interface AdapterFacts {
  labels: readonly string[];
  pooling: Pooling;
  /** Length in tokens at which a text is cut. */
  maxLength: number;
  /** Number of placeholders before a text's own tokens. */
  placeholders: number;
  /** Divisor of the logits. */
  temperature: number;
  description: AdapterDescription;
  group: SessionGroup;
}

export interface CheckedAdapter extends AdapterFacts {
  /** Its files of tensors as one piece, or of a whole model its head alone. */
  weights: Uint8Array<ArrayBuffer>;
}

/** The reason why an adapter's files cannot be served. */
interface Refusal {
  refused: ErrorCode;
  message: string;
}

/** The content of a folder. */
interface CheckedBundle {
  id: string;
  bytes: number;
  adapter: CheckedAdapter | Refusal;
}

interface KnownBase {
  readonly source: BaseModelSource;
  readonly outline: Promise<BaseModelOutline>;
}

const bases = new Map(
  (workerData as CheckWorkerData).bases.map((source): [string, KnownBase] => {
    const outline = outlineBaseModel(source);
    // The calls that need it report the failure; without this it would end the process before the first came.
    outline.catch(() => {});
    return [source.id, { source, outline }];
  }),
);

/** Most remembered bundles; each takes about a kilobyte. */
const MAX_KNOWN = 10_000;
/**
 * Results of the checks by the bundle's id, which is a hash of the checked bytes. So an adapter that comes back to memory is hashed again,
 * but not parsed and searched for NaN.
 */
const known = new Map<string, AdapterFacts | Refusal>();
const descriptions = new SharedValues<AdapterDescription>();

const handlers = {
  /** Resolves when every base model can be used. */
  ready: async (_: null) => {
    for (const { outline } of bases.values()) await outline;
  },
  read: async (folder: string): Promise<Moved<CheckedBundle> | undefined> => {
    const files = readFiles(folder);
    if (!files) return undefined;
    const id = bundleId(files);
    const facts = await factsOf(id, files);
    const bytes = bundleSize(files);
    if ('refused' in facts) return new Moved({ id, bytes, adapter: facts }, []);
    if (facts.group.model) {
      const { file } = headAlone(files[ADAPTER_WEIGHTS_FILE]!, facts.description);
      // Beside it lies the weight file that its sessions are built on.
      return new Moved({ id, bytes: 2 * bytes, adapter: { ...facts, weights: file } }, [file.buffer]);
    }
    const weights = inBufferOfItsOwn(joinWeights(files, formatOf(facts.description.method).layout));
    return new Moved({ id, bytes, adapter: { ...facts, weights } }, [weights.buffer]);
  },
};
export type CheckHandlers = typeof handlers;

serveCalls(handlers);

function readFiles(folder: string): BundleBytes | undefined {
  try {
    return readBundleFiles(folder);
  } catch {
    return undefined;
  }
}

async function factsOf(id: string, files: BundleBytes): Promise<AdapterFacts | Refusal> {
  const before = known.get(id);
  if (before) return before;
  const found = await check(id, files).catch(refusalOf);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(id, found);
  return found;
}

/** @throws {AppError} if the files do not fit each other or a served base model */
async function check(id: string, files: BundleBytes): Promise<AdapterFacts> {
  const what = `adapter bundle ${id.slice(0, 12)}`;
  const base = baseOf(readWeftFile(files, what).base_model);
  const outline = await base.outline;
  const { architecture } = outline;
  const { weft, description } = readAdapterFiles(files, adapterBase(base.source, outline), what);
  const { labels, pooling, max_length, temperature = 1 } = weft;
  const { wholeModel } = methodOf({ type: description.method });
  wholeModel?.check(description, architecture, pooling, what);
  const plan = planOf(description, architecture, pooling);
  const virtualTokens = virtualTokensIn(description);
  return {
    labels,
    pooling,
    maxLength: max_length - virtualTokens,
    placeholders: placeholdersOf({ type: description.method }, virtualTokens),
    temperature,
    description: wholeModel
      ? headAlone(files[ADAPTER_WEIGHTS_FILE]!, description).description
      : descriptions.shared(description),
    group: {
      base: weft.base_model,
      precision: weft.base_precision,
      plan,
      ...(wholeModel && { model: id }),
    },
  };
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof AppError) return { refused: error.code, message: error.message };
  throw error;
}

/** Copies bytes into a buffer of their own: a small file's bytes share one with others. */
function inBufferOfItsOwn(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

function baseOf(id: string): KnownBase {
  const found = bases.get(id);
  if (found) return found;
  const served = [...bases.keys()].join(', ');
  throw new AppError('model_not_found', `this node serves ${served}, not ${id.slice(0, 128)}`);
}
