import { checkContents } from '../../shared/adapter-check.ts';
import { parseAdapterConfig } from '../../shared/adapter-config.ts';
import type { AdapterDescription } from '../../shared/adapter-description.ts';
import { writeSafetensors } from '../../shared/safetensors.ts';
import { scanWeights } from '../../shared/weights-scan.ts';

/** What the files that `describeFiles` makes up are called in messages. */
export const WHAT = 'adapter spam@3';

/** The tensors of a file by name: the shape of each and what fills it; null is one that is not there. */
export type FileTensors = Readonly<Record<string, readonly [shape: readonly number[], value: number] | null>>;

/** Tensors of zeros. */
export function zeros(shapes: Readonly<Record<string, readonly number[] | null>>): FileTensors {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, shape && [shape, 0]]));
}

/** What an import makes of files in PEFT's layout. @throws AppError `invalid_adapter`, as an import does */
export function describeFiles(adapterConfig: object, tensors: FileTensors): AdapterDescription {
  const filled = Object.entries(tensors).flatMap(([name, given]) => {
    if (given === null) return [];
    const [shape, value] = given;
    const size = shape.reduce((product, dim) => product * dim, 1);
    return [[name, { shape, data: new Float32Array(size).fill(value) }] as const];
  });
  const scanned = scanWeights(writeSafetensors(new Map(filled)), { file: WHAT, maxHeaderBytes: 1e6 });
  return checkContents(parseAdapterConfig(JSON.stringify(adapterConfig), WHAT), scanned, WHAT);
}
