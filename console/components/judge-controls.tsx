import { useState } from 'preact/hooks';
import { datasets } from '../api/requests.ts';
import { count } from '../format.ts';
import { type Judgement, judge, stopJudging } from '../store/judgements.ts';
import { useKnown } from '../store/known.ts';
import { Choice } from './choice.tsx';
import { Problem } from './problem.tsx';

/** Rows that are classified unless all are asked for. */
const FIRST_ROWS = 2_000;

interface JudgeControlsProps {
  models: readonly string[];
  fileId: string | undefined;
  onFile: (fileId: string) => void;
  /** One for each model. */
  judgements: readonly Judgement[];
  hint?: string | undefined;
}

/** Chooses a labelled file, and has adapters classify its rows. */
export function JudgeControls({ models, fileId, onFile, judgements, hint }: JudgeControlsProps) {
  const [wantsAll, setAll] = useState(false);
  const files = useKnown(datasets());
  const isRunning = judgements.some((one) => one.isRunning);
  const done = judgements.reduce((sum, { rows }) => sum + rows.length, 0);
  const total = judgements.reduce((sum, one) => sum + one.total, 0);
  const chosen = files.value?.data.find(({ id }) => id === fileId);
  const start = async () => {
    const limit = wantsAll ? Number.POSITIVE_INFINITY : FIRST_ROWS;
    for (const model of models) await judge(model, fileId!, limit);
  };
  return (
    <>
      <div class="fields">
        <Choice
          label="Labelled file"
          name="judged_file"
          value={fileId ?? ''}
          onChoose={onFile}
          options={[
            ['', 'Choose a file'],
            ...(files.value?.data.map(({ id, filename }) => [id, filename] as const) ?? []),
          ]}
          hint={hint}
        />
      </div>
      <div class="actions">
        {isRunning ? (
          <button type="button" onClick={() => models.map((model) => stopJudging(model, fileId!))}>
            Stop
          </button>
        ) : (
          <button
            type="button"
            class="main"
            disabled={fileId === undefined || models.length === 0}
            onClick={start}
          >
            Classify its rows
          </button>
        )}
        {(chosen?.examples ?? 0) > FIRST_ROWS && (
          <label class="inline">
            <input
              type="checkbox"
              checked={wantsAll}
              onChange={(event) => setAll(event.currentTarget.checked)}
            />
            all {count(chosen!.examples)}, not the first {count(FIRST_ROWS)}
          </label>
        )}
        {total > 0 && (
          <span class="muted" role="status">
            {count(done)} of {count(total)} rows classified
          </span>
        )}
      </div>
      {isRunning && <progress max={total || 1} value={done} aria-label="Share of rows classified" />}
      {judgements.map((one) => one.error && <Problem key={one.error.message} error={one.error} />)}
    </>
  );
}
