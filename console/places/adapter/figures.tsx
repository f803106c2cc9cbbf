import { adapters } from '../../api/requests.ts';
import type { Adapter, ValidationMetrics } from '../../api/types.ts';
import { Measured } from '../../components/measured.tsx';
import { Tile } from '../../components/tile.tsx';
import { majorityBaseline } from '../../figures/judge.ts';
import { bytes, count, score } from '../../format.ts';
import { useKnown } from '../../store/known.ts';

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
      {adapter.status === 'ready' && <Tile name="A short text" value={<Measured id={adapter.id} />} />}
    </dl>
  );
}
