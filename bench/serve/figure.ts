import type { Bench } from './bench.ts';

export interface Measured {
  readonly value: number;
  /** What it was made of, a line each. */
  readonly detail: readonly string[];
}

/** A number that serving is held to. */
export interface Figure {
  readonly name: string;
  readonly what: string;
  readonly aim: { readonly atLeast: number } | { readonly atMost: number };
  /** Of the value: empty for a ratio. */
  readonly unit?: string;
  measure(bench: Bench): Promise<Measured>;
}

export function isMet({ aim }: Figure, value: number): boolean {
  return 'atLeast' in aim ? value >= aim.atLeast : value <= aim.atMost;
}
