import { ADAPTER_WEIGHTS_FILE, MAX_FILE_BYTES } from '../../shared/adapter-format.ts';
import { AppError } from '../../shared/errors.ts';
import type { MethodType } from '../../shared/methods/index.ts';
import type { PeftMethod } from '../methods/method.ts';

/** Most bytes of a tensor's entry in a file's header: name, type, shape and offsets. */
const HEADER_ENTRY_BYTES = 256;

/**
 * Checks before training that an adapter with tensors of these shapes can be stored.
 * @throws AppError `invalid_request` at the field that decides its size
 */
export function requireStorable(
  shapes: Iterable<readonly number[]>,
  toShrink: PeftMethod<MethodType>['toShrink'],
): void {
  const most = MAX_FILE_BYTES[ADAPTER_WEIGHTS_FILE];
  let bytes = 0;
  for (const shape of shapes) {
    bytes += HEADER_ENTRY_BYTES + Float32Array.BYTES_PER_ELEMENT * shape.reduce((a, b) => a * b, 1);
  }
  if (bytes <= most) return;
  const size = `${Math.ceil(bytes / 2 ** 20)} MiB, at most ${most / 2 ** 20} are stored`;
  throw new AppError(
    'invalid_request',
    `the adapter would have ${size}${toShrink ? `: ${toShrink.way}` : ''}`,
    toShrink ? { param: `method.${toShrink.field}` } : {},
  );
}
