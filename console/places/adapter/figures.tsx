import { useState } from 'preact/hooks';
import { classify, type Timing } from '../../api/classify.ts';
import { ApiError } from '../../api/client.ts';
import { adapters } from '../../api/requests.ts';
import type { Adapter, ValidationMetrics } from '../../api/types.ts';
import { Tile } from '../../components/tile.tsx';
import { majorityBaseline } from '../../figures/judge.ts';
import { bytes, count, score } from '../../format.ts';
import { call, useKnown } from '../../store/known.ts';

/** An adapter's figures, beside those of the version before it and of always giving the most frequent label. */
export function Figures({ adapter }: { adapter: Adapter }) {
  const versions = useKnown(adapters(adapter.name));
  const before = versions.value?.data
    .filter(({ version, metrics }) => version < adapter.version && metrics)
    .sort((a, b) => b.version - a.version)[0];
  const metrics = adapter.metrics?.validation;
  const supports = Object.values(metrics?.per_label ?? {}).map(({ support }) => support);
  const baseline = majorityBaseline(supports);
  const beside = (of: (metrics: ValidationMetrics) => number, least?: number) => (
    <>
      {before && `${before.id}: ${score(of(before.metrics!.validation))}`}
      {before && least !== undefined && <br />}
      {least !== undefined && `most frequent label: ${score(least)}`}
    </>
  );
  return (
    <dl class="tiles">
      {metrics && (
        <>
          <Tile name="F1" value={score(metrics.f1)} note={beside(({ f1 }) => f1, baseline.f1)} />
          <Tile
            name="Accuracy"
            value={score(metrics.accuracy)}
            note={beside(({ accuracy }) => accuracy, baseline.accuracy)}
          />
          <Tile name="Calibration error" value={score(metrics.ece)} note={beside(({ ece }) => ece)} />
        </>
      )}
      <Tile
        name="Size"
        value={bytes(adapter.size_bytes)}
        note={
          adapter.trained_parameters === null ? undefined : `${count(adapter.trained_parameters)} numbers`
        }
      />
      <Tile name="Labels" value={count(adapter.labels?.length ?? 0)} />
      {adapter.status === 'ready' && <Latency id={adapter.id} />}
    </dl>
  );
}

const PROBES = 5;

/** The time of a short text, measured when asked for: a page that is looked at puts no load on the nodes. */
function Latency({ id }: { id: string }) {
  const [answer, setAnswer] = useState<string>();
  const measure = async () => {
    const runs: Timing[] = [];
    try {
      for (let i = 0; i < PROBES; i++) {
        runs.push((await classify(call, [{ model: id, text: 'How long does this take?' }])).timing);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setAnswer(error.message);
      return;
    }
    const totals = runs.map((timing) => timing.reduce((sum, [, ms]) => sum + ms, 0)).sort((a, b) => a - b);
    setAnswer(`${totals[Math.floor(totals.length / 2)]!.toFixed(1)} ms`);
  };
  return (
    <Tile
      name="A short text"
      value={answer ?? '–'}
      note={
        <button type="button" onClick={measure}>
          Measure
        </button>
      }
    />
  );
}
