import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Log } from '../../gpu-node/log.ts';
import { locateBaseModel } from '../../gpu-node/weights/locate-base-model.ts';
import { FLOAT_DTYPES, headerLength, parseHeader } from '../../shared/safetensors.ts';
import type { ExperimentBase } from './engine.ts';

const MAX_HEADER_BYTES = 16 * 1024 * 1024;

/** Finds or fetches a base model in the way a node does. */
export async function locateBase(model: string, home: string, log: Log): Promise<ExperimentBase> {
  const located = await locateBaseModel(model, { home, log });
  const parameters = await countParameters(join(located.folder, 'model.safetensors'));
  return { ...located, weightsFolder: resolve(home, 'weights'), parameters };
}

/** Numbers in the float tensors of a safetensors file; integers, such as positions, are no parameters. */
export async function countParameters(path: string): Promise<number> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const limits = { file: path, maxHeaderBytes: MAX_HEADER_BYTES, code: 'internal_error' } as const;
    const prefix = new Uint8Array(8);
    await file.read(prefix, 0, 8, 0);
    const head = new Uint8Array(8 + headerLength(prefix, size, limits));
    await file.read(head, 0, head.length, 0);
    const tensors = [...parseHeader(head, size, limits).tensors.values()];
    const floats = tensors.filter(({ dtype }) => FLOAT_DTYPES.includes(dtype));
    return floats.reduce((sum, { shape }) => sum + shape.reduce((product, each) => product * each, 1), 0);
  } finally {
    await file.close();
  }
}
