import {
  AUTO_FIELDS,
  AUTO_HYPERPARAMETERS,
  AUTO_MAX_LENGTH,
  autoBatchSize,
  autoEpochs,
  validationRows,
} from '../../../shared/auto-values.ts';
import type { Dataset } from '../../api/types.ts';
import { count, number } from '../../format.ts';
import { DEFAULT_METHOD, type Typed } from './training-request.ts';

/** Methods of a request that are another under another name. */
const MEANT: Readonly<Record<string, string>> = { [DEFAULT_METHOD]: 'lora', qlora: 'lora' };
/** Fields whose value follows from what a client does not know before the training. */
const FOLLOWS: Readonly<Record<string, string>> = {
  'method.base_precision': 'what is fastest on the node',
  'method.rank_pattern': 'none',
  'method.alpha_pattern': 'none',
  'hyperparameters.max_length': `98 of 100 texts whole, at most ${AUTO_MAX_LENGTH}`,
};

/** What "auto" would come to for a field of the request, with what was typed so far; undefined for a field without "auto". */
export function autoOf(
  path: string,
  file: Pick<Dataset, 'examples'> | undefined,
  typed: Typed,
): string | undefined {
  if (FOLLOWS[path] !== undefined) return FOLLOWS[path];
  const type = typed['method.type'] || DEFAULT_METHOD;
  const fields =
    (AUTO_FIELDS as Readonly<Record<string, Readonly<Record<string, unknown>>>>)[MEANT[type] ?? type] ?? {};
  const [part, name = ''] = path.split('.') as [string, string?];
  if (path === 'method.pooling') return 'mean';
  if (path === 'method.alpha' && typed['method.r']) return String(2 * Number(typed['method.r']));
  if (part === 'method') return name in fields ? shown(fields[name]) : 'by the base model';
  if (path === 'validation_split')
    return file && `${count(validationRows('auto', file.examples))} of ${count(file.examples)} rows`;
  if (part !== 'hyperparameters') return undefined;
  if (name === 'learning_rate') return name in fields ? shown(fields[name]) : undefined;
  if (name === 'epochs') return file ? String(autoEpochs(trainedOn(file, typed))) : 'by the number of rows';
  if (name === 'batch_size')
    return file ? String(autoBatchSize(trainedOn(file, typed))) : 'by the number of rows';
  return shown((AUTO_HYPERPARAMETERS as Readonly<Record<string, unknown>>)[name]);
}

/** The rows of a file that are left to train on. */
function trainedOn({ examples }: Pick<Dataset, 'examples'>, typed: Typed): number {
  if (typed.validation_file) return examples;
  const split = typed.validation_split;
  return examples - validationRows(split ? Number(split) : 'auto', examples);
}

function shown(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return typeof value === 'number' ? number(value) : Array.isArray(value) ? value.join(', ') : String(value);
}
