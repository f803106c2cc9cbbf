import { AppError } from '../../shared/errors.ts';
import { elementCount } from '../graph/shapes.ts';
import type { TrainingEvent } from './protocol.ts';

/** Of every weight: its value, that at the start and in the kept epoch, its average, Adam's two moments and the gradient. */
const COPIES = 7;
/** What each lane has of its own: the values that it is handed, and the gradients of a run, their sum, and that as it is sent. */
const COPIES_PER_LANE = 4;

/** What it takes to train some weights, in bytes. */
export interface ModelCost {
  readonly parameters: number;
  /** Of a file that holds them all. */
  readonly file: number;
  /** Memory of the training, without what a run computes of its texts. */
  readonly memory: number;
}

/** @param shapes of all tensors @param lanes threads that compute gradients */
export function modelCost(shapes: Iterable<readonly number[]>, lanes: number): ModelCost {
  let parameters = 0;
  for (const shape of shapes) parameters += elementCount(shape);
  const file = Float32Array.BYTES_PER_ELEMENT * parameters;
  return { parameters, file, memory: file * (COPIES + COPIES_PER_LANE * lanes) };
}

/** @throws AppError `no_capacity` where there is less memory: another node may have it */
export function requireMemory(
  { parameters, memory }: ModelCost,
  available: number = process.availableMemory(),
): void {
  if (memory <= available) return;
  const message = `training ${parameters} weights takes some ${mebibytes(memory)} of memory (weights, gradients, moments, averages), this node has ${mebibytes(available)} free: train a smaller base model, or another or a smaller method`;
  throw new AppError('no_capacity', message);
}

/** What a whole model costs, said before the first step. */
export function costEvent({ parameters, file, memory }: ModelCost): TrainingEvent {
  return {
    level: 'info',
    message: `trains all ${parameters} weights of the base model: a file of some ${mebibytes(file)}, some ${mebibytes(memory)} of memory, and sessions of its own where it is served`,
    type: 'message',
    data: { parameters, file_bytes: file, memory_bytes: memory },
  };
}

const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
