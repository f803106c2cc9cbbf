import { LAYOUTS, type LayoutName, MAX_FILE_BYTES, weightsFilesOf } from '../../shared/adapter-format.ts';
import { AppError } from '../../shared/errors.ts';
import type { MethodType } from '../../shared/methods/index.ts';
import { elementCount } from '../graph/shapes.ts';
import type { PeftMethod } from '../methods/method.ts';

/** Most bytes of a tensor's entry in a file's header: name, type, shape and offsets. */
const HEADER_ENTRY_BYTES = 256;

type Shapes = readonly (readonly number[])[];

/** Where it is the head that is too large. */
const SMALLER_HEAD = { param: 'base_model', way: 'train fewer labels, or a smaller base model' };

/**
 * Checks before training that an adapter with tensors of these shapes can be stored.
 * @throws AppError `invalid_request` at the field that decides its size
 */
export function requireStorable(
  layout: LayoutName,
  shapes: { readonly own: Shapes; readonly head: Shapes },
  toShrink: PeftMethod<MethodType>['toShrink'],
): void {
  const files = LAYOUTS[layout];
  for (const file of weightsFilesOf(layout)) {
    const own = file === files.weights ? bytesOf(shapes.own) : 0;
    const head = file === files.head ? bytesOf(shapes.head) : 0;
    const most = MAX_FILE_BYTES[file];
    if (own + head <= most) continue;
    const size = `${Math.ceil((own + head) / 2 ** 20)} MiB, at most ${most / 2 ** 20} are stored`;
    const { param, way } =
      head > own ? SMALLER_HEAD : { param: `method.${toShrink.field}`, way: toShrink.way };
    throw new AppError('invalid_request', `the adapter would have ${size}: ${way}`, { param });
  }
}

function bytesOf(shapes: Shapes): number {
  const numbers = shapes.reduce((sum, shape) => sum + elementCount(shape), 0);
  return HEADER_ENTRY_BYTES * shapes.length + Float32Array.BYTES_PER_ELEMENT * numbers;
}
