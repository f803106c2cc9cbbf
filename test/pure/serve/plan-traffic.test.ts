import { describe, expect, it } from 'vitest';
import type { Plan } from '../../../gpu-node/parts/index.ts';
import { PlanTraffic } from '../../../gpu-node/serve/plan-traffic.ts';
import { planName, unionOf } from '../../../gpu-node/serve/plans.ts';

const LAYERS = 36;
const places = (count: number) => Array.from({ length: count }, (_, i) => `layer ${i}`);
const LORA: Plan = { lowRank: places(LAYERS) };
const DORA: Plan = { lowRank: places(LAYERS), gain: places(LAYERS) };
const IA3: Plan = { gain: places(12), reach: places(6) };
const NARROW: Plan = { lowRank: places(12) };

/** Traffic on one base model whose adapters' sessions follow every advice at once. */
class Simulated {
  readonly traffic: PlanTraffic;
  readonly changes: string[][] = [];
  #sessions = new Map<string, Plan>();

  constructor(lanes = 1) {
    this.traffic = new PlanTraffic({ layers: LAYERS, lanes });
  }

  /** Rows of these plans come at once, so few that they fit one run. */
  ask(plans: readonly Plan[], times = 1, fill = 0.1): this {
    for (let i = 0; i < times; i++) this.#askOnce(plans, fill);
    return this;
  }

  /** The name of the plan of a plan's session. */
  sessionOf(plan: Plan): string {
    return planName(this.#sessions.get(planName(plan)) ?? plan);
  }

  #askOnce(plans: readonly Plan[], fill: number): void {
    const runs = Map.groupBy(plans, (plan) => this.sessionOf(plan));
    const underWay = [...runs.values()];
    for (const its of underWay) {
      const session = this.#sessions.get(planName(its[0]!)) ?? its[0]!;
      this.traffic.note({ session, plans: its, underWay, fill });
    }
    const advice = this.traffic.advice();
    if (!advice) return;
    this.changes.push(advice.open.map(planName));
    for (const [name, session] of [...this.#sessions]) {
      if (advice.leave.some((left) => planName(left) === planName(session))) this.#sessions.delete(name);
    }
    for (const union of advice.open.filter((plan) => !plans.includes(plan))) {
      for (const plan of [LORA, DORA, IA3, NARROW]) {
        const united = unionOf([union, plan]);
        if (planName(united) === planName(union) && !advice.open.includes(plan)) {
          this.#sessions.set(planName(plan), union);
        }
      }
    }
    this.traffic.settle();
  }
}

describe('adapters of one plan', () => {
  it('keep a session of their own, however many texts come', () => {
    expect(new Simulated().ask([LORA], 500).changes).toEqual([]);
    expect(new Simulated(2).ask([LORA, LORA], 500, 1).changes).toEqual([]);
  });

  it('that share a wider session get one of their own when nobody uses the rest of it', () => {
    const traffic = new PlanTraffic({ layers: LAYERS, lanes: 1 });
    for (let i = 0; i < 64; i++) {
      traffic.note({ session: LORA, plans: [NARROW], underWay: [[NARROW]], fill: 0.1 });
    }
    expect(traffic.advice()).toEqual({ open: [NARROW], leave: [LORA] });
  });
});

describe('adapters of several plans', () => {
  it('that are asked for together get a session of the union of their plans, and those of their own give way', () => {
    const traffic = new PlanTraffic({ layers: LAYERS, lanes: 1 });
    const underWay = [[LORA], [DORA], [IA3]];
    let advice: ReturnType<PlanTraffic['advice']>;
    for (let i = 0; i < 64 && !advice; i++) {
      for (const [plan] of underWay) traffic.note({ session: plan!, plans: [plan!], underWay, fill: 0.1 });
      advice = traffic.advice();
    }
    expect(advice!.open.map(planName)).toEqual([planName(unionOf([LORA, DORA, IA3]))]);
    expect(advice!.leave).toEqual([LORA, DORA, IA3]);
  });

  it('that are asked for in turn do not: no run would be spared', () => {
    const its = new Simulated();
    for (let i = 0; i < 300; i++) its.ask([LORA]).ask([IA3]);
    expect(its.changes).toEqual([]);
  });

  it('that run on lanes of their own at the same time do not', () => {
    expect(new Simulated(2).ask([LORA, IA3], 500).changes).toEqual([]);
    expect(new Simulated(2).ask([LORA, IA3, DORA], 500).changes).toHaveLength(1);
  });

  it('whose runs are full anyway do not', () => {
    expect(new Simulated().ask([LORA, IA3], 500, 1).changes).toEqual([]);
  });

  it('are united with those alone that they are asked for together with', () => {
    const its = new Simulated();
    for (let i = 0; i < 300; i++) its.ask([DORA, NARROW]).ask([IA3]);
    expect(its.changes).toHaveLength(1);
    expect(its.sessionOf(NARROW)).toBe(its.sessionOf(DORA));
    expect(its.sessionOf(IA3)).toBe(planName(IA3));
  });
});

describe('a union', () => {
  it('is left again when one of its plans is all that is used', () => {
    const its = new Simulated().ask([LORA, IA3], 100);
    expect(its.sessionOf(LORA)).toBe(planName(unionOf([LORA, IA3])));
    its.ask([LORA], 500);
    expect([its.changes.length, its.sessionOf(LORA)]).toEqual([2, planName(LORA)]);
  });

  it('is left for those sessions alone whose plans are still in use', () => {
    const its = new Simulated().ask([LORA, DORA, IA3], 200).ask([LORA], 500);
    expect(its.changes).toEqual([[planName(unionOf([LORA, DORA, IA3]))], [planName(LORA)]]);
  });

  it('gives up the part that one odd adapter had brought, and stays for the others', () => {
    const its = new Simulated().ask([LORA, NARROW, IA3], 100);
    expect(its.sessionOf(NARROW)).toBe(planName(unionOf([LORA, IA3])));
    its.ask([LORA, NARROW], 500);
    expect([its.sessionOf(NARROW), its.sessionOf(LORA)]).toEqual([planName(LORA), planName(LORA)]);
    expect(its.changes).toHaveLength(2);
  });

  it('is not rebuilt more than once in a window of runs, however the traffic turns', () => {
    const its = new Simulated();
    for (let i = 0; i < 50; i++) its.ask([LORA, IA3], 8).ask([LORA], 12).ask([DORA, IA3], 8).ask([IA3], 12);
    const runs = 50 * 56;
    expect(its.changes.length).toBeLessThan(runs / 256);
  });

  it('keeps its plans while traffic stays as it is', () => {
    const its = new Simulated();
    for (let i = 0; i < 500; i++) its.ask([LORA, IA3]).ask([LORA]);
    expect(its.changes.length).toBeLessThanOrEqual(1);
  });
});
