import { useMemo, useState } from 'preact/hooks';
import { addressOf } from '../../addresses.ts';
import { dataset, job } from '../../api/requests.ts';
import type { Adapter } from '../../api/types.ts';
import { ConfusionMatrix } from '../../components/confusion-matrix.tsx';
import { JudgeControls } from '../../components/judge-controls.tsx';
import { JudgedRows } from '../../components/judged-rows.tsx';
import { LabelOptions } from '../../components/label-input.tsx';
import { type Edits, SaveEdits, withEdit } from '../../components/relabel.tsx';
import { Reliability } from '../../components/reliability.tsx';
import { Threshold } from '../../components/threshold.tsx';
import { matrixOf, mistakesOf } from '../../figures/judge.ts';
import { count } from '../../format.ts';
import { judgementOf } from '../../store/judgements.ts';
import { useKnown } from '../../store/known.ts';
import { useRows } from '../../store/rows.ts';
import { go, place } from '../../store/session.ts';

/** An adapter on a labelled file: its texts behind each cell, how far its scores can be trusted, and where it is sure and wrong. */
export function OnFile({ adapter }: { adapter: Adapter }) {
  const fileId = place.value.query.get('file') ?? undefined;
  const training = useKnown(adapter.job_id === null ? undefined : job(adapter.job_id));
  const judgement = fileId === undefined ? undefined : judgementOf(adapter.id, fileId);
  const rows = judgement?.rows ?? [];
  const isOwn = fileId !== undefined && training.value?.training_file === fileId;
  return (
    <section class="card" aria-labelledby="on-file">
      <h2 id="on-file">On a labelled file</h2>
      <JudgeControls
        models={[adapter.id]}
        fileId={fileId}
        onFile={(file) => go(addressOf('adapters', adapter.id, { file }), { replace: true })}
        judgements={judgement ? [judgement] : []}
        hint={isOwn ? 'It was trained on this file: figures on new texts will be lower.' : undefined}
      />
      {fileId !== undefined && rows.length > 0 && <Findings adapter={adapter} fileId={fileId} />}
    </section>
  );
}

type Cell = { truth: string; label: string };

function Findings({ adapter, fileId }: { adapter: Adapter; fileId: string }) {
  const [cell, setCell] = useState<Cell>();
  const [edits, setEdits] = useState<Edits>(new Map());
  const file = useKnown(dataset(fileId));
  const { rows: whole } = useRows(fileId);
  const { rows } = judgementOf(adapter.id, fileId);
  const labels = useMemo(
    () => [...new Set([...(adapter.labels ?? []), ...rows.map(({ truth }) => truth)])],
    [adapter.labels, rows],
  );
  const counts = useMemo(() => matrixOf(labels, rows), [labels, rows]);
  const shown = useMemo(
    () =>
      cell
        ? rows.filter(({ truth, label }) => truth === cell.truth && label === cell.label)
        : mistakesOf(rows),
    [rows, cell],
  );
  return (
    <>
      <div class="columns">
        <div class="stack">
          <h3>Labels taken for others; choose a cell for its texts</h3>
          <ConfusionMatrix
            labels={labels}
            counts={counts}
            onCell={(truth, label) => setCell({ truth, label })}
          />
        </div>
        <div class="stack">
          <h3>Reliability</h3>
          <Reliability rows={rows} />
        </div>
      </div>
      <Threshold rows={rows} />
      <div class="page-head">
        <h3>
          {cell ? `${cell.truth} taken for ${cell.label}` : 'Mistakes, the most certain first'} (
          {count(shown.length)})
        </h3>
        {cell && (
          <button type="button" onClick={() => setCell(undefined)}>
            All mistakes
          </button>
        )}
      </div>
      <LabelOptions labels={labels} />
      <SaveEdits
        rows={whole}
        filename={file.value?.filename ?? fileId}
        edits={edits}
        onDiscard={() => setEdits(new Map())}
      />
      <JudgedRows
        label="Classified texts"
        rows={shown}
        edits={edits}
        onEdit={(row, label) => setEdits(withEdit(edits, row, label, whole[row]!.label))}
      />
    </>
  );
}
