import type { Plan } from '../parts/index.ts';
import { planName, planSize, unionOf } from './plans.ts';

/** A run at its start. */
export interface PlanRun {
  /** The plan of its session. */
  readonly session: Plan;
  /** Distinct plans of its rows' adapters. */
  readonly plans: readonly Plan[];
  /** The same for every current run on sessions of the same base model and precision, this run included. */
  readonly underWay: readonly (readonly Plan[])[];
  /** Padded tokens divided by the most that the run might have had. */
  readonly fill: number;
}

/** The rows of one plan in a run. They would be a run of their own if each plan had its own session. */
interface Note {
  readonly plan: string;
  readonly session: string;
  /** Names of the plans of all such runs at that moment, this one included. */
  readonly beside: readonly string[];
  readonly fill: number;
}

/** For each plan's name, the plan of the session that serves it. */
type Arrangement = ReadonlyMap<string, Plan>;

/** Plans of sessions to build, and of sessions that then give way. */
export interface Advice {
  readonly open: readonly Plan[];
  readonly leave: readonly Plan[];
}

/** Number of past notes that a decision rests on. */
const WINDOW = 256;
/** Number of newest notes; sessions are built ahead only for plans among them. */
const RECENT = 64;
/** Runs of the window that another arrangement must save: building a session takes as long as some hundred runs. */
const WORTHWHILE_RUNS = 16;
/** Runs between two searches for a better arrangement, because a search takes up to a millisecond. */
const ASKED_EVERY = 64;
/** Most plans that a union is made from: the most used ones. */
const MAX_PLANS = 8;
/** Fixed cost of a run, in parts at each of the base model's linear layers (bench/README.md, Plans of sessions). */
const RUN_PARTS = 2;

/**
 * Decides which plans sessions should have on one base model and precision. It is pure policy over the last runs, without a clock. A union
 * of several plans saves runs if their rows run at the same moment and would fit into fewer runs; it costs each run the places that none of
 * its rows need.
 * Costs are counted in places; each run has a fixed cost of its own, which depends on the base model. An arrangement is kept for a whole
 * window at least, and given up only for one that is better by more than building it costs.
 */
export class PlanTraffic {
  /** Fixed cost of a run without its plan, in places. */
  readonly #runCost: number;
  readonly #lanes: number;
  /** Plans that the notes name. */
  readonly #plans = new Map<string, Plan>();
  #notes: Note[] = [];
  /** Number of notes before the arrangement may change. */
  #least = 0;
  /** Runs since the last search. */
  #unasked = 0;

  /** @param layers linear layers of the base model @param lanes runs of one session at the same time */
  constructor({ layers, lanes }: { layers: number; lanes: number }) {
    this.#runCost = RUN_PARTS * layers;
    this.#lanes = lanes;
  }

  note({ session, plans, underWay, fill }: PlanRun): void {
    for (const plan of [session, ...plans]) this.#plans.set(planName(plan), plan);
    const beside = underWay.flat().map(planName);
    for (const plan of plans) {
      this.#notes.push({
        plan: planName(plan),
        session: planName(session),
        beside,
        fill: fill / plans.length,
      });
    }
    this.#unasked++;
    if (this.#notes.length >= 2 * WINDOW) this.#keep(this.#notes.slice(-WINDOW));
  }

  /** The plans of sessions that recently used adapters should have, if that is worth the change from their present ones. */
  advice(): Advice | undefined {
    if (this.#unasked < ASKED_EVERY) return undefined;
    this.#unasked = 0;
    const notes = this.#notes.slice(-WINDOW);
    if (notes.length < this.#least) return undefined;
    const now = new Map(notes.map(({ plan, session }) => [plan, this.#plans.get(session)!]));
    const [[plan, session]] = now as unknown as [[string, Plan]];
    if (now.size === 1 && planName(session) === plan) return undefined;
    const best = this.#best(notes, now);
    const spared = this.#spared(notes, best) - this.#spared(notes, now);
    if (spared < WORTHWHILE_RUNS * this.#runCost) return undefined;
    // Sessions of the other plans are built when they are asked for.
    const used = new Set(notes.slice(-RECENT).map((note) => note.plan));
    const open = byName([...best].flatMap(([name, plan]) => (used.has(name) ? [plan] : [])));
    const before = byName(now.values());
    return {
      open: [...open.values()],
      leave: [...before].flatMap(([name, plan]) => (open.has(name) ? [] : [plan])),
    };
  }

  /** Notes that an advice was followed or could not be: the next one rests on runs from now on. */
  settle(): void {
    this.#least = WINDOW;
    this.#keep([]);
  }

  #keep(notes: Note[]): void {
    this.#notes = notes;
    const named = new Set(notes.flatMap(({ plan, session }) => [plan, session]));
    for (const name of this.#plans.keys()) if (!named.has(name)) this.#plans.delete(name);
  }

  /**
   * The best arrangement: a union for the plans that gain by it, and their own sessions for the others. The search starts from the union of
   * all and leaves out one plan after another, because two plans may gain only together with a third. The least used plans keep their
   * sessions.
   */
  #best(notes: readonly Note[], now: Arrangement): Arrangement {
    let members = mostUsed(notes)
      .slice(0, MAX_PLANS)
      .map((name) => this.#plans.get(name)!);
    const alone: Arrangement = new Map([...now, ...members.map((plan) => [planName(plan), plan] as const)]);
    const judged = (united: Plan[]) => {
      const arrangement = withUnion(alone, united);
      return { united, arrangement, spared: this.#spared(notes, arrangement) };
    };
    let best = judged([]);
    let union = judged(members);
    while (members.length > 1) {
      if (union.spared > best.spared) best = union;
      const smaller = members.map((left) => judged(members.filter((plan) => plan !== left)));
      union = smaller.reduce((a, b) => (b.spared > a.spared ? b : a));
      members = union.united;
    }
    return best.arrangement;
  }

  /** Places that an arrangement saves in these runs, compared with one session per plan. */
  #spared(notes: readonly Note[], arrangement: Arrangement): number {
    let spared = 0;
    for (const { plan, beside, fill } of notes) {
      const session = arrangement.get(plan)!;
      const sharing = beside.filter((each) => arrangement.get(each) === session).length;
      const runs = Math.min(1, Math.max(fill, this.#lanes / sharing));
      const own = this.#runCost + planSize(this.#plans.get(plan)!);
      spared += own - runs * (this.#runCost + planSize(session));
    }
    return spared;
  }
}

function withUnion(alone: Arrangement, united: readonly Plan[]): Arrangement {
  const union = unionOf(united);
  return new Map([...alone, ...united.map((plan) => [planName(plan), union] as const)]);
}

function byName(plans: Iterable<Plan>): ReadonlyMap<string, Plan> {
  return new Map([...plans].map((plan) => [planName(plan), plan]));
}

/** Names of plans, those with most notes first. */
function mostUsed(notes: readonly Note[]): string[] {
  const uses = new Map<string, number>();
  for (const { plan } of notes) uses.set(plan, (uses.get(plan) ?? 0) + 1);
  return [...uses].sort(([, a], [, b]) => b - a).map(([plan]) => plan);
}
