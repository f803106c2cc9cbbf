import { useState } from 'preact/hooks';
import { classify } from '../api/classify.ts';
import { ApiError } from '../api/client.ts';
import { call } from '../store/known.ts';

const PROBES = 5;

/** The median time of a short text, measured when asked for: a page that is looked at puts no load on the nodes. */
export function Measured({ id }: { id: string }) {
  const [answer, setAnswer] = useState('–');
  const measure = async () => {
    const totals: number[] = [];
    try {
      for (let i = 0; i < PROBES; i++) {
        const { timing } = await classify(call, [{ model: id, text: 'How long does this take?' }]);
        totals.push(timing.reduce((sum, [, ms]) => sum + ms, 0));
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setAnswer(error.message);
      return;
    }
    totals.sort((a, b) => a - b);
    setAnswer(`${totals[Math.floor(PROBES / 2)]!.toFixed(1)} ms`);
  };
  return (
    <span class="actions">
      {answer}
      <button type="button" class="small" aria-label={`Measure how fast ${id} answers`} onClick={measure}>
        Measure
      </button>
    </span>
  );
}
