import { LAYOUTS, type LayoutName, MAX_FILE_BYTES } from '../../shared/adapter-format.ts';
import { AppError } from '../../shared/errors.ts';
import type { MethodType } from '../../shared/methods/index.ts';
import type { PeftMethod } from '../methods/method.ts';

/** Most bytes of a tensor's entry in a file's header: name, type, shape and offsets. */
const HEADER_ENTRY_BYTES = 256;

type Shapes = readonly (readonly number[])[];

/**
 * Checks before training that an adapter with tensors of these shapes can be stored.
 * @throws AppError `invalid_request` at the field that decides its size
 */
export function requireStorable(
  layout: LayoutName,
  shapes: { readonly own: Shapes; readonly head: Shapes },
  toShrink: PeftMethod<MethodType>['toShrink'],
): void {
  const { weights, head } = LAYOUTS[layout];
  const files =
    weights === head
      ? [[weights, [...shapes.own, ...shapes.head]]]
      : [
          [weights, shapes.own],
          [head, shapes.head],
        ];
  for (const [file, inIt] of files as [keyof typeof MAX_FILE_BYTES, Shapes][]) {
    const most = MAX_FILE_BYTES[file];
    const bytes = inIt.reduce((sum, shape) => sum + bytesOf(shape), 0);
    if (bytes <= most) continue;
    const size = `${Math.ceil(bytes / 2 ** 20)} MiB, at most ${most / 2 ** 20} are stored`;
    throw new AppError(
      'invalid_request',
      `the adapter would have ${size}${toShrink ? `: ${toShrink.way}` : ''}`,
      toShrink ? { param: `method.${toShrink.field}` } : {},
    );
  }
}

function bytesOf(shape: readonly number[]): number {
  return HEADER_ENTRY_BYTES + Float32Array.BYTES_PER_ELEMENT * shape.reduce((a, b) => a * b, 1);
}
