import { useMemo } from 'preact/hooks';
import type { Row } from '../../api/rows.ts';
import { Heads } from '../../components/heads.tsx';
import { LabelInput } from '../../components/label-input.tsx';
import type { Edits } from '../../components/relabel.tsx';
import { Scroll } from '../../components/scroll.tsx';
import { type Repeat, repeatsOf } from '../../figures/dataset.ts';
import { count } from '../../format.ts';

/** Repeats that are shown; what comes after the most frequent hundred is rarely looked at. */
const MAX_SHOWN = 100;

interface RepeatsProps {
  rows: readonly Row[];
  edits: Edits;
  onEdit: (row: number, label: string) => void;
}

/** Texts that occur more than once, side by side with their labels. */
export function Repeats({ rows, edits, onEdit }: RepeatsProps) {
  const { duplicates, contradictions } = useMemo(() => repeatsOf(rows), [rows]);
  if (duplicates.length + contradictions.length === 0) return null;
  const part = (title: string, repeats: readonly Repeat[]) =>
    repeats.length > 0 && (
      <details open={title === 'Contradictions'}>
        <summary>
          {title} ({count(repeats.length)})
        </summary>
        <Scroll tall>
          <table>
            <Heads columns={['Text', 'Labels by row']} />
            <tbody>
              {repeats.slice(0, MAX_SHOWN).map((repeat) => (
                <tr key={repeat.rows[0]}>
                  <td>{repeat.text.slice(0, 300)}</td>
                  <td>
                    <div class="actions">
                      {repeat.rows.slice(0, MAX_SHOWN).map((row) => (
                        <span key={row} class="small-input">
                          <LabelInput
                            name={`Label of row ${row + 1}`}
                            value={edits.get(row) ?? rows[row]!.label}
                            isChanged={edits.has(row)}
                            onChange={(value) => onEdit(row, value)}
                          />
                        </span>
                      ))}
                    </div>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
        {repeats.length > MAX_SHOWN && <p class="muted small">The {MAX_SHOWN} most frequent are shown.</p>}
      </details>
    );
  return (
    <section class="card" aria-labelledby="repeats">
      <h2 id="repeats">Texts that occur more than once</h2>
      {part('Contradictions', contradictions)}
      {part('Duplicates', duplicates)}
    </section>
  );
}
