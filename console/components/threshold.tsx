import { useState } from 'preact/hooks';
import { atThreshold, type JudgedRow } from '../figures/judge.ts';
import { percent } from '../format.ts';
import { Bars } from './bars.tsx';
import { Field } from './field.tsx';

/** What remains where answers below a score are withheld. */
export function Threshold({ rows }: { rows: readonly JudgedRow[] }) {
  const [threshold, setThreshold] = useState(0.5);
  const { coverage, precision, recall } = atThreshold(rows, threshold);
  const bar = (name: string, value: number) => ({ name, value, text: percent(value) });
  return (
    <div class="columns">
      <Field
        label={`Withhold answers below ${threshold.toFixed(2)}`}
        hint="precision: of the answers given, those that are right; recall: of all rows, those that get the right answer"
      >
        {(attributes) => (
          <input
            {...attributes}
            type="range"
            min="0"
            max="1"
            step="0.01"
            value={threshold}
            onInput={(event) => setThreshold(Number(event.currentTarget.value))}
          />
        )}
      </Field>
      <Bars
        label={`At the threshold ${threshold.toFixed(2)}`}
        of={1}
        bars={[bar('Precision', precision), bar('Recall', recall), bar('Coverage', coverage)]}
      />
    </div>
  );
}
