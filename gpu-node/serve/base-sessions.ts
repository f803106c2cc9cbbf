import type { Plan } from '../parts/index.ts';
import type { Group, Run } from './group.ts';
import { type Advice, PlanTraffic } from './plan-traffic.ts';
import { choose } from './plans.ts';

export interface BaseSessionsOptions {
  /** Number of linear layers of the base model. */
  layers: number;
  /** Number of sessions per group. */
  lanes: number;
  /**
   * Follows advice that other plans would serve the recent traffic better: builds their sessions beside the others. Resolves when that is
   * done or given up.
   */
  follow(advice: Advice): Promise<void>;
}

/** The groups of sessions of one base model and precision. They differ only in their plans, so their rows might share a run. */
export class BaseSessions {
  readonly #follow: BaseSessionsOptions['follow'];
  readonly #groups = new Set<Group>();
  readonly #traffic: PlanTraffic;
  readonly #underWay = new Set<Run>();
  /** True if rows have come that no lane has been offered. */
  #scheduled = false;
  #following = false;

  constructor({ follow, ...shape }: BaseSessionsOptions) {
    this.#follow = follow;
    this.#traffic = new PlanTraffic(shape);
  }

  add(group: Group): void {
    this.#groups.add(group);
  }

  remove(group: Group): void {
    this.#groups.delete(group);
  }

  /** The groups that can serve an adapter of this plan, the best first. */
  choose(plan: Plan): Group[] {
    return choose(this.#groups, plan);
  }

  /** Offers waiting rows to the lanes after this turn of the event loop, so that rows that arrive together run together. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#fill();
    });
  }

  /** Notes that a run is over and its lane idle. */
  ended(run: Run): void {
    this.#underWay.delete(run);
    this.#fill();
  }

  #fill(): void {
    const begun = [...this.#groups].flatMap((group) => group.fill());
    for (const run of begun) this.#underWay.add(run);
    const underWay = [...this.#underWay].map(({ plans }) => plans);
    for (const run of begun) this.#traffic.note({ ...run, underWay });
    if (begun.length > 0) this.#consider();
  }

  #consider(): void {
    const advice = this.#following ? undefined : this.#traffic.advice();
    if (!advice) return;
    this.#following = true;
    void this.#follow(advice).finally(() => {
      this.#following = false;
      this.#traffic.settle();
    });
  }
}
