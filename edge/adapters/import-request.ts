import { z } from 'zod';
import { checkContents, checkFits, parseWeftFile } from '../../shared/adapter-check.ts';
import type { AdapterDescription } from '../../shared/adapter-description.ts';
import { WEFT_FILE, type WeftFile, weightsFilesOf } from '../../shared/adapter-format.ts';
import { adapterName } from '../../shared/api/common.ts';
import { givenLabel, MAX_LABELS } from '../../shared/api/rows.ts';
import { parseConfigFiles } from '../../shared/config-files.ts';
import { AppError } from '../../shared/errors.ts';
import { FAMILIES } from '../../shared/families.ts';
import { areTooLong, MAX_LABELS_BYTES } from '../../shared/label-limits.ts';
import { formatOf } from '../../shared/methods/index.ts';
import {
  basePrecision,
  MAX_SEQUENCE_LENGTH,
  MIN_TEXT_TOKENS,
  type PeftConfig,
  pooling,
} from '../../shared/peft-config.ts';
import { joinScans } from '../../shared/weights-scan.ts';
import type { ImportBase } from '../base-models.ts';
import { invalidRequest } from '../invalid-request.ts';
import { type ReceivedAdapter, THE_IMPORT } from '../upload/receive-adapter.ts';

export const importFields = z.strictObject({
  name: adapterName,
  labels: z
    .array(givenLabel)
    .min(2)
    .max(MAX_LABELS)
    .refine((labels) => !areTooLong(labels), `they have more than ${MAX_LABELS_BYTES} bytes together`)
    .optional(),
  base_model: z.string().min(1).max(128).optional(),
  base_precision: basePrecision.default('fp32'),
  pooling: pooling.default('cls'),
  max_length: z.coerce.number().int().min(MIN_TEXT_TOKENS).max(MAX_SEQUENCE_LENGTH).optional(),
});
export type ImportFields = z.infer<typeof importFields>;

/** An import's files and fields, checked as far as is possible without the base model. */
export interface ParsedImport {
  fields: ImportFields;
  /** The base model that the fields name, or else the files. */
  baseModel: string | null;
  description: AdapterDescription;
  method: PeftConfig;
  /** The `weft.json` that came along. */
  weft: WeftFile | undefined;
}

/** Throws `invalid_adapter` or `invalid_request`, naming the file and tensor, or the field. */
export function parseImport({ layout, files, weights, fields }: ReceivedAdapter): ParsedImport {
  const weftBytes = files.get(WEFT_FILE);
  const weft = weftBytes && parseWeftFile(weftBytes, THE_IMPORT);
  const parsed = importFields.safeParse({
    ...(weft && saidBy(weft)),
    ...fields,
    ...(fields.labels && { labels: parseLabels(fields.labels) }),
  });
  if (!parsed.success) throw invalidRequest(parsed.error);
  if (weft) requireAgreement(parsed.data, weft);
  const config = parseConfigFiles(layout, (name) => files.get(name)!, THE_IMPORT);
  if (formatOf(config.method).wholeModel) {
    const message = `${THE_IMPORT}: it is a whole model, no adapter: start a node with its folder as a base model, and train on that`;
    throw new AppError('invalid_adapter', message);
  }
  const scans = weightsFilesOf(layout).map((name) => weights.get(name)!);
  const description = checkContents(config, joinScans(scans, THE_IMPORT), THE_IMPORT);
  return {
    fields: parsed.data,
    baseModel: parsed.data.base_model ?? config.baseModel,
    description,
    method: {
      ...formatOf(description.method).methodOf(config, description.targets, FAMILIES[description.family]),
      pooling: parsed.data.pooling,
      base_precision: parsed.data.base_precision,
    } as PeftConfig,
    weft,
  };
}

/** The entries of `weft.json` that a field may give too. */
function saidBy({ labels, base_model, base_precision, pooling, max_length }: WeftFile) {
  return { labels, base_model, base_precision, pooling, max_length };
}

function requireAgreement(fields: ImportFields, weft: WeftFile): void {
  for (const [field, said] of Object.entries(saidBy(weft))) {
    const given = fields[field as keyof ImportFields];
    if (JSON.stringify(given) === JSON.stringify(said)) continue;
    const message = `${field}: ${WEFT_FILE} says something else; leave the field out, or the file.`;
    throw new AppError('invalid_request', message, { param: field });
  }
}

/** Labels come as one field that holds a JSON array, or as one field per label. */
function parseLabels(given: string[]): unknown[] {
  if (given.length > 1 || !given[0]!.trimStart().startsWith('[')) return given;
  try {
    const labels: unknown = JSON.parse(given[0]!);
    if (Array.isArray(labels)) return labels;
  } catch {
    // The next line refuses it.
  }
  throw new AppError('invalid_request', 'labels must be a JSON array of strings.', { param: 'labels' });
}

/**
 * Makes the `weft.json` of an adapter that fits its base model, from the one that came along if any.
 * @throws {AppError} `invalid_adapter` where the adapter does not fit
 */
export function describeForServing(
  { fields, description, weft: given }: ParsedImport,
  base: ImportBase,
): WeftFile {
  const { labels, max_length, base_precision } = fields;
  const rows = description.classifier.labels;
  if (!labels) {
    const message = `labels is required: the classifier has ${rows} rows; give ${rows} labels in their order.`;
    throw new AppError('invalid_request', message, { param: 'labels' });
  }
  if (max_length !== undefined && max_length > base.max_length) {
    const message = `max_length: ${base.id} reads at most ${base.max_length} tokens.`;
    throw new AppError('invalid_request', message, { param: 'max_length' });
  }
  if (!base.precisions.includes(base_precision)) {
    const message = `base_precision: ${base.id} is served as ${base.precisions.join(', ')}.`;
    throw new AppError('invalid_request', message, { param: 'base_precision' });
  }
  const weft: WeftFile = given ?? {
    format: 1,
    labels,
    pooling: fields.pooling,
    // Without a length, transformers truncates to what the base model takes.
    max_length: max_length ?? Math.min(base.max_length, MAX_SEQUENCE_LENGTH),
    base_model: base.id,
    base_model_sha256: base.sha256,
    base_precision,
    metrics: null,
  };
  checkFits(description, weft, base, THE_IMPORT);
  return weft;
}
