import type { Progress } from '../../shared/api/jobs.ts';

/** Most points kept of one run. */
const MAX_POINTS = 400;

/** Losses of training steps, thinned out evenly however long the run is. */
export class LossCurve {
  #points: [number, number][] = [];
  #every = 1;
  #seen = 0;

  add({ epoch, loss }: Progress): void {
    if (loss === null || this.#seen++ % this.#every !== 0) return;
    this.#points.push([epoch, loss]);
    if (this.#points.length < MAX_POINTS) return;
    this.#points = this.#points.filter((_, i) => i % 2 === 0);
    this.#every *= 2;
  }

  /** Pairs of epochs passed and loss. */
  get points(): [number, number][] {
    return this.#points;
  }
}
