import { useMemo, useState } from 'preact/hooks';
import type { Dataset } from '../../api/types.ts';
import { Bars } from '../../components/bars.tsx';
import { Choice } from '../../components/choice.tsx';
import { Field } from '../../components/field.tsx';
import { LabelInput, LabelOptions } from '../../components/label-input.tsx';
import { Problem } from '../../components/problem.tsx';
import { type Edits, SaveEdits, withEdit } from '../../components/relabel.tsx';
import { Windowed } from '../../components/windowed.tsx';
import { lengthsOf, rowsWith } from '../../figures/dataset.ts';
import { bytes, count } from '../../format.ts';
import { rowsOf, useRows } from '../../store/rows.ts';
import { Repeats } from './repeats.tsx';

/** Larger files are loaded when somebody asks for them. */
const MAX_UNASKED_BYTES = 5 * 1024 * 1024;

/** The rows of a file, to look through and to relabel, and what they look like together. */
export function FileRows({ file }: { file: Dataset }) {
  const [isAsked, setAsked] = useState(file.bytes <= MAX_UNASKED_BYTES);
  const { rows, isWhole, error } = useRows(isAsked ? file.id : undefined);
  const [edits, setEdits] = useState<Edits>(new Map());
  if (!isAsked) {
    return (
      <section class="card" aria-label="Rows">
        <div class="actions">
          <button type="button" onClick={() => setAsked(true)}>
            Load the rows
          </button>
          <span class="muted">{bytes(file.bytes)}</span>
        </div>
      </section>
    );
  }
  const edit = (row: number, label: string) => setEdits(withEdit(edits, row, label, rows[row]!.label));
  return (
    <>
      {error && <Problem error={error} retry={() => rowsOf(file.id)} />}
      {!isWhole && !error && (
        <p class="muted" role="status">
          Loading rows… {count(rows.length)} of {count(file.examples)}
        </p>
      )}
      {isWhole && (
        <>
          <LabelOptions labels={Object.keys(file.labels)} />
          <SaveEdits
            rows={rows}
            filename={file.filename}
            edits={edits}
            onDiscard={() => setEdits(new Map())}
          />
          <Lengths rows={rows} />
          <Repeats rows={rows} edits={edits} onEdit={edit} />
          <RowTable rows={rows} labels={Object.keys(file.labels)} edits={edits} onEdit={edit} />
        </>
      )}
    </>
  );
}

type Rows = ReturnType<typeof useRows>['rows'];

function Lengths({ rows }: { rows: Rows }) {
  const bins = useMemo(() => lengthsOf(rows), [rows]);
  const nameOf = (from: number, to: number) =>
    to === Number.POSITIVE_INFINITY ? `${from} or more` : `${from} to ${to - 1}`;
  return (
    <section class="card" aria-labelledby="lengths">
      <h2 id="lengths">Words a text</h2>
      <p class="muted small">
        190 words of English are some 256 tokens, the most that max_length “auto” keeps; 380 are some 512, the
        most that any adapter reads. What is longer is cut.
      </p>
      <Bars
        label="Texts by their words"
        bars={bins.map(({ from, to, rows: value }) => ({ name: nameOf(from, to), value }))}
      />
    </section>
  );
}

interface RowTableProps {
  rows: Rows;
  labels: readonly string[];
  edits: Edits;
  onEdit: (row: number, label: string) => void;
}

function RowTable({ rows, labels, edits, onEdit }: RowTableProps) {
  const [label, setLabel] = useState('');
  const [words, setWords] = useState('');
  const places = useMemo(() => rowsWith(rows, label, words), [rows, label, words]);
  return (
    <section class="card" aria-labelledby="rows">
      <h2 id="rows">
        {count(places.length)} of {count(rows.length)} rows
      </h2>
      <div class="fields">
        <Choice
          label="With the label"
          name="label"
          value={label}
          onChoose={setLabel}
          options={[['', 'any'], ...labels.map((one) => [one, one] as const)]}
        />
        <Field label="Holding the text">
          {(attributes) => (
            <input
              {...attributes}
              type="search"
              value={words}
              onInput={(event) => setWords(event.currentTarget.value)}
            />
          )}
        </Field>
      </div>
      <Windowed
        label="Rows of the file"
        count={places.length}
        rowHeight={44}
        columns={['Text', 'Row', 'Label']}
        row={(index) => {
          const place = places[index]!;
          const row = rows[place]!;
          return [
            <td key="text" title={row.text}>
              {row.text}
            </td>,
            <td key="row">{count(place + 1)}</td>,
            <td key="label">
              <LabelInput
                name={`Label of row ${place + 1}`}
                value={edits.get(place) ?? row.label}
                isChanged={edits.has(place)}
                onChange={(value) => onEdit(place, value)}
              />
            </td>,
          ];
        }}
      />
    </section>
  );
}
