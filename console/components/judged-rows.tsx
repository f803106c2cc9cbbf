import type { JudgedRow } from '../figures/judge.ts';
import { score } from '../format.ts';
import { LabelInput } from './label-input.tsx';
import type { Edits } from './relabel.tsx';
import { Windowed } from './windowed.tsx';

interface JudgedRowsProps {
  label: string;
  rows: readonly JudgedRow[];
  edits: Edits;
  onEdit: (row: number, label: string) => void;
}

/** Classified rows, whose labels can be corrected in place. */
export function JudgedRows({ label, rows, edits, onEdit }: JudgedRowsProps) {
  return (
    <Windowed
      label={label}
      count={rows.length}
      rowHeight={44}
      columns={['Text', 'Label', 'Adapter says', 'Score']}
      row={(index) => {
        const one = rows[index]!;
        return [
          <td key="text" class="cut" title={one.text}>
            {one.text}
          </td>,
          <td key="label">
            <LabelInput
              value={edits.get(one.row) ?? one.truth}
              isChanged={edits.has(one.row)}
              name={`Label of row ${one.row + 1}`}
              onChange={(value) => onEdit(one.row, value)}
            />
          </td>,
          <td key="says" class={one.truth === one.label ? '' : 'bad'}>
            {one.label}
          </td>,
          <td key="score" class="number">
            {score(one.score)}
          </td>,
        ];
      }}
    />
  );
}
