import type { Bench } from './bench.ts';

export interface Measured {
  readonly value: number;
  /** The numbers behind the value, one line each. */
  readonly detail: readonly string[];
}

/** A number with the aim that serving must meet. */
export interface Figure {
  readonly name: string;
  readonly what: string;
  readonly aim: { readonly atLeast: number } | { readonly atMost: number };
  /** Unit of the value; empty for a ratio. */
  readonly unit?: string;
  measure(bench: Bench): Promise<Measured>;
}

export function isMet({ aim }: Figure, value: number): boolean {
  return 'atLeast' in aim ? value >= aim.atLeast : value <= aim.atMost;
}
