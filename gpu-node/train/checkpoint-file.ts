import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { MAX_CHECKPOINT_BYTES } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { isDiskFull } from '../disk-full.ts';
import { decodeCheckpoint, encodeCheckpoint, type SavedState, type TrainingShape } from './checkpoint.ts';
import type { CheckpointSpec, TrainingEvent } from './protocol.ts';

export interface CheckpointFileOptions extends CheckpointSpec {
  /** SHA-256 of the training task. */
  task: string;
  /** Description of everything else that the bits of a result depend on. */
  machine: string;
  onEvent(event: TrainingEvent): void;
  /** Called when the file is complete. */
  onSaved(): void | Promise<void>;
  /** Current time in milliseconds. */
  now?: () => number;
}

/**
 * Saves a training's state to a file, so that it outlives the process, and loads an earlier attempt's. A failure here never fails the
 * training: an event reports it.
 */
export class CheckpointFile {
  readonly #options: CheckpointFileOptions;
  readonly #now: () => number;
  #due: number;
  /** The last reason why saving failed; each is reported once. */
  #failure = '';

  constructor(options: CheckpointFileOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#due = this.#now() + options.interval;
  }

  /** The state that an earlier attempt saved; undefined if there is none, or it does not fit. */
  async load(shape: TrainingShape): Promise<SavedState | undefined> {
    const { resume, task, machine, onEvent } = this.#options;
    if (!resume) return undefined;
    const { file, attempt, sha256 } = resume;
    try {
      const bytes = await readFile(file);
      if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
        throw new AppError(
          'invalid_request',
          'the checkpoint is damaged: it has another SHA-256 than was stored',
        );
      }
      const checkpoint = decodeCheckpoint(bytes, task, shape);
      onEvent(resumed(checkpoint.position, attempt, { made: checkpoint.machine, here: machine }));
      return checkpoint;
    } catch (error) {
      console.error(error);
      onEvent(startsOver(attempt, error instanceof AppError ? error.message : 'the node cannot read it'));
      return undefined;
    }
  }

  /** Saves the state if the last save is long enough ago. */
  async saveIfDue(save: () => SavedState): Promise<void> {
    if (this.#now() < this.#due) return;
    await this.save(save());
    this.#due = this.#now() + this.#options.interval;
  }

  /** Saves the state under another name first, so that the file is always complete. */
  async save(state: SavedState): Promise<void> {
    const { file, task, machine, onSaved } = this.#options;
    const bytes = [...state.tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    if (bytes > MAX_CHECKPOINT_BYTES) {
      this.#warn(`it has ${bytes} bytes, at most ${MAX_CHECKPOINT_BYTES} are kept`);
      return;
    }
    try {
      await writeFile(`${file}.part`, encodeCheckpoint({ ...state, task, machine }));
      await rename(`${file}.part`, file);
    } catch (error) {
      console.error(error);
      this.#warn(isDiskFull(error) ? "the node's disk is full" : 'the node cannot write it');
      return;
    }
    this.#failure = '';
    await onSaved();
  }

  #warn(reason: string): void {
    if (reason === this.#failure) return;
    this.#failure = reason;
    this.#options.onEvent({
      level: 'warn',
      message: `the state of the training is not saved: ${reason}; if this attempt is lost, the next starts from the last one that was`,
      type: 'message',
      data: null,
    });
  }
}

function resumed(
  { epoch, batch }: SavedState['position'],
  attempt: number,
  { made, here }: { made: string; here: string },
): TrainingEvent {
  const differs = `; it was made on ${made}, and this is ${here}: the result may differ in its last digits`;
  return {
    level: 'info',
    message: `goes on from step ${batch} of epoch ${epoch}, from a checkpoint of attempt ${attempt}${made === here ? '' : differs}`,
    type: 'message',
    data: { epoch, step: batch, attempt, same_machine: made === here },
  };
}

function startsOver(attempt: number, reason: string): TrainingEvent {
  return {
    level: 'warn',
    message: `a checkpoint of attempt ${attempt} cannot be used: ${reason}; training starts over`,
    type: 'message',
    data: { attempt },
  };
}
