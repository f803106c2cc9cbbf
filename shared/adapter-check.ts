import type { AdapterConfig } from './adapter-config.ts';
import {
  type AdapterDescription,
  checkAgainstBase,
  checkLabels,
  describeAdapter,
} from './adapter-description.ts';
import { WEFT_FILE, type WeftFile, weftFile } from './adapter-format.ts';
import { AppError } from './errors.ts';
import { formatOf } from './methods/index.ts';
import type { BaseShape } from './methods/places.ts';
import { fail } from './methods/refusal.ts';
import { virtualTokensIn } from './methods/text-room.ts';
import { type PackedMetrics, packedMetrics, unpackMetrics } from './packed-metrics.ts';
import { MIN_TEXT_TOKENS, type Pooling } from './peft-config.ts';
import type { ScannedWeights } from './weights-scan.ts';

/*
 * The checks of an adapter's files. The edge makes them before a version is ready, and a node makes them again when it loads one. Both use
 * these functions, so that no version becomes ready which no node would load.
 */

/** The base model that an adapter must fit. */
export interface AdapterBase extends BaseShape {
  id: string;
  /** SHA-256 of its `model.safetensors`. */
  sha256: string;
  /** Most tokens of a text. */
  max_length: number;
  /** Poolings that its weights allow; undefined means any. */
  poolings?: readonly Pooling[];
}

/**
 * Largest factor by which one layer of an adapter may lengthen a vector. Its format calls these factors gains: scaling times the Euclidean
 * norms of LoRA's B and A, and the norm of a head's weight or bias. Trained adapters reach a few hundred. Vectors are normalized between
 * layers, to a length of some hundreds, and at most two gains meet before the next norm squares them: 1e28, while float32 ends at 3e38. So
 * no score is infinite, or NaN, which JSON cannot express.
 */
export const MAX_GAIN = 1e6;

/** Reads weft.json. @throws {AppError} `invalid_adapter`, naming the field */
export function parseWeftFile(bytes: Uint8Array, what: string): WeftFile {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new AppError('invalid_adapter', `${what}: ${WEFT_FILE} is not JSON`, { cause, param: WEFT_FILE });
  }
  const parsed = weftFile.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return fail(what, `${WEFT_FILE}: ${issue?.path.join('.').slice(0, 120)}: ${issue?.message}`, WEFT_FILE);
}

/** Reads the validation metrics of `weft.json`. @throws {AppError} `invalid_adapter` where they are no metrics, or not of its labels */
export function readMetrics({ metrics, labels }: WeftFile, what: string): PackedMetrics | null {
  if (metrics === null || metrics === undefined) return null;
  const parsed = packedMetrics.safeParse(metrics);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const place = ['metrics', ...(issue?.path ?? [])].join('.').slice(0, 120);
    return fail(what, `${WEFT_FILE}: ${place}: ${issue?.message}`, WEFT_FILE);
  }
  const { per_label, confusion_matrix } = unpackMetrics(parsed.data);
  const named = Object.keys(per_label);
  const isOfLabels = confusion_matrix.length === labels.length && named.length === labels.length;
  if (isOfLabels && labels.every((label) => Object.hasOwn(per_label, label))) return parsed.data;
  return fail(what, `${WEFT_FILE}: metrics are of other labels than it names`, WEFT_FILE);
}

/**
 * Reads `adapter_config.json` and the weights. @throws {AppError} `invalid_adapter` where they disagree, or a value is too large to be used
 */
export function checkContents(
  config: AdapterConfig,
  { header, norms }: ScannedWeights,
  what: string,
): AdapterDescription {
  const description = describeAdapter(config, header, what);
  checkValues(description, norms, what);
  return description;
}

/**
 * Checks that contents can be served as `weft.json` says. @throws {AppError} `invalid_adapter`, whose `param` is the field of `weft.json`
 * that does not fit
 */
export function checkFits(
  description: AdapterDescription,
  weft: WeftFile,
  base: AdapterBase,
  what: string,
): void {
  checkAgainstBase(description, base, what);
  checkLabels(description, weft.labels, what);
  if (weft.base_model_sha256 !== base.sha256) {
    const trainedOn = `${weft.base_model} (SHA-256 ${weft.base_model_sha256.slice(0, 12)}…)`;
    const message = `it was trained on base model ${trainedOn}, not on ${base.id} (${base.sha256.slice(0, 12)}…)`;
    fail(what, message, 'base_model');
  }
  if (weft.max_length > base.max_length) {
    const message = `max_length is ${weft.max_length}, base model ${base.id} takes at most ${base.max_length} tokens`;
    fail(what, message, 'max_length');
  }
  requireRoom(description, weft, base, what);
  if (base.poolings && !base.poolings.includes(weft.pooling)) {
    const message = `pooling ${weft.pooling} needs a pooler, which base model ${base.id} lacks: it serves ${base.poolings.join(', ')}`;
    fail(what, message, 'pooling');
  }
}

/** Checks that virtual tokens leave room for texts. */
function requireRoom(
  description: AdapterDescription,
  { max_length }: WeftFile,
  base: AdapterBase,
  what: string,
): void {
  const count = virtualTokensIn(description);
  if (count === 0 || max_length - count >= MIN_TEXT_TOKENS) return;
  const least = count + MIN_TEXT_TOKENS;
  if (base.max_length < least) {
    fail(
      what,
      `its ${count} virtual tokens need ${least} with a text, base model ${base.id} takes at most ${base.max_length} tokens`,
    );
  }
  fail(
    what,
    `max_length is ${max_length}, of which ${count} are virtual tokens: at least ${least} leave room for a text`,
    'max_length',
  );
}

function checkValues(
  { method, targets, classifier }: AdapterDescription,
  norms: ScannedWeights['norms'],
  what: string,
): void {
  const check = (name: string, gain: number) => {
    if (gain <= MAX_GAIN) return;
    fail(what, `${name.slice(0, 200)} has a norm of ${gain.toPrecision(3)}, at most ${MAX_GAIN} is served`);
  };
  const normOf = ({ name }: { name: string }) => norms.get(name) ?? 0;
  const { gainsOf, requireValues } = formatOf(method);
  for (const target of targets) {
    for (const [name, gain] of gainsOf(target, normOf)) check(name, gain);
    requireValues?.(target, normOf, what);
  }
  for (const { name, weight, bias } of classifier.layers) {
    check(`${name}.weight`, normOf(weight));
    check(`${name}.bias`, normOf(bias));
  }
}
