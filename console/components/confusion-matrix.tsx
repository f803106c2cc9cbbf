import { useState } from 'preact/hooks';
import { count, percent } from '../format.ts';
import { Heads } from './heads.tsx';
import { Scroll } from './scroll.tsx';

/** Most labels of which a whole matrix can be read; of more, the largest confusions are listed. */
const MAX_LABELS = 40;
const MAX_LISTED = 50;

interface MatrixProps {
  labels: readonly string[];
  /** Rows of a label (first index) by the label that they got (second). */
  counts: readonly (readonly number[])[];
  /** Opens the texts of a cell, where they are known. */
  onCell?: ((truth: string, label: string) => void) | undefined;
}

/** Which labels are taken for which: counts, or their shares of each label's rows. */
export function ConfusionMatrix({ labels, counts, onCell }: MatrixProps) {
  const [isShares, setShares] = useState(false);
  if (labels.length > MAX_LABELS) return <Confusions labels={labels} counts={counts} />;
  const sums = counts.map((row) => row.reduce((sum, cell) => sum + cell, 0));
  return (
    <>
      <p class="small muted">Rows are the true labels, columns what the adapter gives.</p>
      <label class="inline">
        <input
          type="checkbox"
          checked={isShares}
          onChange={(event) => setShares(event.currentTarget.checked)}
        />
        Shares of each row
      </label>
      <Scroll>
        <table class="matrix">
          <thead>
            <tr>
              <td />
              {labels.map((label) => (
                <th key={label} scope="col">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {labels.map((truth, i) => (
              <tr key={truth}>
                <th scope="row">{truth}</th>
                {labels.map((label, j) => {
                  const rows = counts[i]![j]!;
                  const share = sums[i]! > 0 ? rows / sums[i]! : 0;
                  const text = isShares ? percent(share) : count(rows);
                  return (
                    <td
                      key={label}
                      class={i === j ? 'right' : 'wrong'}
                      style={{ '--share': `${Math.round(70 * share)}%` }}
                    >
                      {onCell && rows > 0 ? (
                        <button
                          type="button"
                          aria-label={`${text}: ${truth} taken for ${label}; show the texts`}
                          onClick={() => onCell(truth, label)}
                        >
                          {text}
                        </button>
                      ) : (
                        text
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </>
  );
}

function Confusions({ labels, counts }: MatrixProps) {
  const all = counts.flatMap((row, i) =>
    row.flatMap((rows, j) => (i === j || rows === 0 ? [] : [{ truth: labels[i]!, label: labels[j]!, rows }])),
  );
  const largest = all.sort((a, b) => b.rows - a.rows).slice(0, MAX_LISTED);
  return (
    <Scroll>
      <table>
        <caption class="small muted">The largest confusions of {count(labels.length)} labels</caption>
        <Heads columns={['True label', 'Taken for', ['Rows', 'number']]} />
        <tbody>
          {largest.map(({ truth, label, rows }) => (
            <tr key={`${truth}\n${label}`}>
              <td>{truth}</td>
              <td>{label}</td>
              <td class="number">{count(rows)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
