import type { Timing } from '../../api/classify.ts';
import { count } from '../../format.ts';

const WHAT: Record<string, string> = {
  edge: 'the edge: key, adapter, database',
  network: 'between edge and node',
  tokenize: 'tokenizing',
  queue: 'waiting for a run',
  load: 'loading adapters',
  run: 'the run itself',
};

/** Where the time of the request went. */
export function Stages({ timing, texts, tokens }: { timing: Timing; texts: number; tokens: number }) {
  const total = timing.reduce((sum, [, ms]) => sum + ms, 0);
  return (
    <section class="card" aria-labelledby="stages">
      <h2 id="stages">
        {total.toFixed(1)} ms for {count(texts)} answers, {count(tokens)} tokens
      </h2>
      <div class="stages" aria-hidden="true">
        {timing.map(([stage, ms]) => (
          <span key={stage} class={`stage ${stage}`} style={{ flexGrow: Math.max(ms, 0) }} />
        ))}
      </div>
      <ul class="stage-list">
        {timing.map(([stage, ms]) => (
          <li key={stage} title={WHAT[stage]}>
            <i class={`stage ${stage}`} />
            {stage} <span class="muted">{ms.toFixed(1)} ms</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
