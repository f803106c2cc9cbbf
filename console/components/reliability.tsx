import { type JudgedRow, reliabilityOf } from '../figures/judge.ts';
import { count, score } from '../format.ts';
import { Chart } from './chart.tsx';
import { Heads } from './heads.tsx';

/** How often scores are right: a calibrated classifier lies on the diagonal. */
export function Reliability({ rows }: { rows: readonly JudgedRow[] }) {
  const bins = reliabilityOf(rows);
  return (
    <>
      <Chart
        label="Accuracy by score; the table below has the numbers"
        x={[0, ...bins.map(({ confidence }) => confidence), 1]}
        range={[0, 1]}
        series={[
          { name: 'accuracy', values: [null, ...bins.map(({ accuracy }) => accuracy), null], axis: 'right' },
          {
            name: 'calibrated',
            values: [0, ...bins.map(({ confidence }) => confidence), 1],
            axis: 'right',
            isReference: true,
          },
        ]}
      />
      <details>
        <summary>As a table</summary>
        <table>
          <Heads
            columns={[
              ['Mean score', 'number'],
              ['Accuracy', 'number'],
              ['Rows', 'number'],
            ]}
          />
          <tbody>
            {bins.map(({ confidence, accuracy, rows: inBin }) => (
              <tr key={confidence}>
                <td class="number">{score(confidence)}</td>
                <td class="number">{score(accuracy)}</td>
                <td class="number">{count(inBin)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </>
  );
}
