/** Description of a metric in Prometheus' terms. */
export interface Metric {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** The label that tells its series apart. */
  readonly label?: string;
}

type Value<M extends Metric> = M['kind'] extends 'histogram' ? Histogram : number;
type Sample<M extends Metric> = M extends { readonly label: string }
  ? Readonly<Record<string, Value<M>>>
  : Value<M>;

/** A value for each metric of a table. A metric with a label has one per value of the label. */
export type Samples<T extends Readonly<Record<string, Metric>>> = { readonly [N in keyof T]: Sample<T[N]> };

/** Counts of values below each of some bounds. */
export class Histogram {
  readonly bounds: readonly number[];
  /** Count per bound, without the values below a lower one; the last counts values above every bound. */
  readonly #counts: number[];
  #sum = 0;

  /** `bounds` must ascend. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const at = this.bounds.findIndex((bound) => value <= bound);
    this.#counts[at < 0 ? this.bounds.length : at]!++;
    this.#sum += value;
  }

  get sum(): number {
    return this.#sum;
  }

  /** Number of values up to each bound, and of all values. */
  get cumulative(): number[] {
    let count = 0;
    return this.#counts.map((each) => {
      count += each;
      return count;
    });
  }
}

/** Writes Prometheus' text format, version 0.0.4. Every name gets the prefix `weft_`. */
export function prometheusText<T extends Readonly<Record<string, Metric>>>(
  metrics: T,
  samples: Samples<T>,
): string {
  return Object.entries<Metric>(metrics)
    .map(([name, { kind, help, label }]) => {
      const sample = samples[name] as Sample<Metric> | Readonly<Record<string, number | Histogram>>;
      const series =
        label === undefined
          ? lines(`weft_${name}`, '', sample as number | Histogram)
          : Object.entries(sample).flatMap(([value, each]) =>
              lines(`weft_${name}`, `${label}="${escaped(value)}"`, each),
            );
      return [`# HELP weft_${name} ${help}`, `# TYPE weft_${name} ${kind}`, ...series, ''].join('\n');
    })
    .join('');
}

function lines(name: string, labels: string, value: number | Histogram): string[] {
  if (typeof value === 'number') return [`${name}${braced(labels)} ${value}`];
  const { bounds, cumulative, sum } = value;
  const bucket = (bound: number | string, count: number) =>
    `${name}_bucket${braced([labels, `le="${bound}"`].filter(Boolean).join(','))} ${count}`;
  const all = cumulative.at(-1)!;
  return [
    ...bounds.map((bound, i) => bucket(bound, cumulative[i]!)),
    bucket('+Inf', all),
    `${name}_sum${braced(labels)} ${sum}`,
    `${name}_count${braced(labels)} ${all}`,
  ];
}

const braced = (labels: string) => (labels === '' ? '' : `{${labels}}`);

const escaped = (value: string) =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
