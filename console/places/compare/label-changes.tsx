import { Scroll } from '../../components/scroll.tsx';
import { accuracyOf, figuresOf, matrixOf, weightedF1 } from '../../figures/judge.ts';
import { count, score } from '../../format.ts';
import type { Judgement } from '../../store/judgements.ts';

/** The F1 of each label under each adapter, and how it changed from the first, the largest change first. */
export function LabelChanges({
  ids,
  judgements,
}: {
  ids: readonly string[];
  judgements: readonly Judgement[];
}) {
  const labels = [
    ...new Set(judgements.flatMap(({ rows }) => rows.flatMap(({ truth, label }) => [truth, label]))),
  ];
  const figures = judgements.map(({ rows }) => figuresOf(matrixOf(labels, rows)));
  const changes = labels.map((label, i) => ({
    label,
    support: figures[0]![i]!.support,
    f1: figures.map((one) => one[i]!.f1),
  }));
  const change = ({ f1 }: { f1: number[] }) => Math.max(...f1.slice(1).map((one) => Math.abs(one - f1[0]!)));
  const overall: [string, readonly number[]][] = [
    ['Accuracy', judgements.map(({ rows }) => accuracyOf(rows))],
    ['Weighted F1', figures.map(weightedF1)],
  ];
  return (
    <Scroll tall>
      <table>
        <thead>
          <tr>
            <th scope="col">F1 of a label</th>
            {ids.map((id) => (
              <th key={id} scope="col" class="number">
                {id}
              </th>
            ))}
            <th scope="col" class="number">
              Rows
            </th>
          </tr>
        </thead>
        <tbody>
          {overall.map(([name, values]) => (
            <tr key={name} class="kept">
              <th scope="row">{name}</th>
              <Values values={values} />
              <td class="number">{count(judgements[0]!.rows.length)}</td>
            </tr>
          ))}
          {changes
            .sort((a, b) => change(b) - change(a))
            .map(({ label, f1, support }) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                <Values values={f1} />
                <td class="number">{count(support)}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Values({ values }: { values: readonly number[] }) {
  return (
    <>
      {values.map((value, i) => {
        const change = value - values[0]!;
        return (
          <td key={i} class="number">
            {score(value)}
            {i > 0 && change !== 0 && (
              <span class={change > 0 ? 'good' : 'bad'}>
                {' '}
                {change > 0 ? '+' : '−'}
                {Math.abs(change).toFixed(3)}
              </span>
            )}
          </td>
        );
      })}
    </>
  );
}
