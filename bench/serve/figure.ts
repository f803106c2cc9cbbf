import type { Bench } from './bench.ts';

export interface Measured {
  readonly value: number;
  /** The numbers behind the value, one line each. */
  readonly detail: readonly string[];
}

/** A number, with the aim that serving must meet where there is one. */
export interface Figure {
  readonly name: string;
  readonly what: string;
  readonly aim?: { readonly atLeast: number } | { readonly atMost: number };
  /** Unit of the value; empty for a ratio. */
  readonly unit?: string;
  measure(bench: Bench): Promise<Measured>;
}

/** The aim, and whether a value meets it; empty without one. */
export function verdict({ aim, unit }: Pick<Figure, 'aim' | 'unit'>, value: number): string {
  if (!aim) return '';
  const [word, bound, met] =
    'atLeast' in aim
      ? (['at least', aim.atLeast, value >= aim.atLeast] as const)
      : (['at most', aim.atMost, value <= aim.atMost] as const);
  return ` (${word} ${bound}${unit ? ` ${unit}` : ''}: ${met ? 'met' : 'missed'})`;
}
