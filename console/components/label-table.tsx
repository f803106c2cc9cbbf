import type { LabelFigures } from '../figures/judge.ts';
import { count, score } from '../format.ts';
import { Heads } from './heads.tsx';
import { Scroll } from './scroll.tsx';

/** How well each label is found, the worst first. */
export function LabelTable({ rows }: { rows: readonly (LabelFigures & { label: string })[] }) {
  const sorted = [...rows].sort((a, b) => a.f1 - b.f1);
  return (
    <Scroll tall>
      <table>
        <Heads
          columns={[
            'Label',
            ['Precision', 'number'],
            ['Recall', 'number'],
            ['F1', 'number'],
            ['Rows', 'number'],
          ]}
        />
        <tbody>
          {sorted.map(({ label, precision, recall, f1, support }) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              <td class="number">{score(precision)}</td>
              <td class="number">{score(recall)}</td>
              <td class="number">{score(f1)}</td>
              <td class="number">{count(support)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
