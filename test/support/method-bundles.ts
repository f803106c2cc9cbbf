import { Random } from '../../gpu-node/random.ts';
import type { TrainingTask } from '../../gpu-node/train/graph.ts';
import { initialParameters } from '../../gpu-node/train/initial-parameters.ts';
import { type BundleBytes, readBundleFiles } from '../../gpu-node/weights/bundle-files.ts';
import type { Tensor } from '../../shared/safetensors.ts';
import { saveAdapter } from './adapters.ts';
import { withFolder } from './tiny-bert.ts';

/** The files of an adapter of any method for `tiny-bert`, all of whose tensors are random, large enough to move every score. */
export async function methodBundle(task: TrainingTask, seed: number): Promise<BundleBytes> {
  const random = new Random(seed, 'method bundle');
  const tensors = new Map<string, Tensor>();
  for (const { name, shape, data } of await initialParameters(task, seed)) {
    tensors.set(name, { shape, data: data.map(() => 0.5 * random.normal()) });
  }
  return withFolder(async (folder) => {
    await saveAdapter(task, tensors, folder);
    return readBundleFiles(folder);
  });
}
