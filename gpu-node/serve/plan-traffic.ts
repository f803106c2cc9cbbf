import type { Plan } from '../parts/index.ts';
import { planName, planSize, unionOf } from './plans.ts';

/** A run that begins. */
export interface PlanRun {
  /** The plan of its session. */
  readonly session: Plan;
  /** The plans of its rows' adapters, each once. */
  readonly plans: readonly Plan[];
  /** Of every run under way then, on sessions of the same base model and precision, this one among them, the same. */
  readonly underWay: readonly (readonly Plan[])[];
  /** Its padded tokens over those that it might have had. */
  readonly fill: number;
}

/** The rows of one plan in a run: what would be a run of its own if each plan had its own session. */
interface Note {
  readonly plan: string;
  readonly session: string;
  /** Names of the plans of all such runs at that moment, this one among them. */
  readonly beside: readonly string[];
  readonly fill: number;
}

/** The plan of the session that serves those of a plan, by its name. */
type Arrangement = ReadonlyMap<string, Plan>;

/** Plans of sessions that should be there, and of those that are to give way when they are. */
export interface Advice {
  readonly open: readonly Plan[];
  readonly leave: readonly Plan[];
}

/** Notes of the recent past that a decision rests on. */
const WINDOW = 256;
/** Of these, the newest: sessions are built ahead of their use for plans among them alone. */
const RECENT = 64;
/** Another arrangement must spare as much as so many runs of those in the window: building a session takes as long as some hundred. */
const WORTHWHILE_RUNS = 16;
/** After so many runs it is asked again whether another arrangement would be better, which takes up to a millisecond. */
const ASKED_EVERY = 64;
/** Plans that a union may be made of: those used most. */
const MAX_PLANS = 8;
/** What a run takes whatever its rows, in parts at each of the base model's linear layers (bench/README.md, Plans of sessions). */
const RUN_PARTS = 2;

/**
 * Decides which plans sessions should have on one base model and precision. Pure policy over the last runs, without a clock: a union of
 * several plans spares runs where their rows are run at the same moment and would fit into fewer runs, and costs each run the places
 * that none of its rows need. Costs are counted in places, of which a run takes a number that is fixed for a base model. An arrangement
 * is kept for a whole window at least, and given up only for one that is better by more than building it costs.
 */
export class PlanTraffic {
  /** What a run takes beside its plan, in places. */
  readonly #runCost: number;
  readonly #lanes: number;
  /** Those that the notes name. */
  readonly #plans = new Map<string, Plan>();
  #notes: Note[] = [];
  /** Notes that there must be before the arrangement may change. */
  #least = 0;
  /** Runs since it was asked. */
  #unasked = 0;

  /** @param layers linear layers of the base model @param lanes runs of one session that go on at the same time */
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

  /** The plans of the sessions that those adapters should have which were used of late, where that is worth the change from those that they have. */
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
    // Sessions of the others are built when they are asked for.
    const used = new Set(notes.slice(-RECENT).map((note) => note.plan));
    const open = byName([...best].flatMap(([name, plan]) => (used.has(name) ? [plan] : [])));
    const before = byName(now.values());
    return {
      open: [...open.values()],
      leave: [...before].flatMap(([name, plan]) => (open.has(name) ? [] : [plan])),
    };
  }

  /** Says that an advice was followed, or could not be: the next one rests on what comes from now on. */
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
   * For each plan that of its session: a union of those that gain by it, and for the others their own. It starts from the union of all and
   * leaves out one after the other, since two may gain nothing by each other that do with a third. What is used least stays where it is.
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

  /** What an arrangement spares of these runs, in places, against a session for each plan. */
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

/** Names of plans, the one with most notes first. */
function mostUsed(notes: readonly Note[]): string[] {
  const uses = new Map<string, number>();
  for (const { plan } of notes) uses.set(plan, (uses.get(plan) ?? 0) + 1);
  return [...uses].sort(([, a], [, b]) => b - a).map(([plan]) => plan);
}
