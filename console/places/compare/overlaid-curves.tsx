import type { Adapter } from '../../api/types.ts';
import { Chart } from '../../components/chart.tsx';
import { epochsOf } from '../../figures/epochs.ts';
import { useFeed } from '../../store/feeds.ts';

/** Lines that can be told apart in one picture. */
const MAX_CURVES = 3;

type Curve = readonly { epoch: number; f1: number | null; validLoss: number | null }[];

/** Validation loss and F1 of the trainings, over each other. */
export function OverlaidCurves({ adapters }: { adapters: readonly Adapter[] }) {
  const trained = adapters.filter(({ job_id }) => job_id !== null).slice(0, MAX_CURVES);
  return <Collect adapters={trained} curves={[]} />;
}

/** Reads one training's events after the other, because each is a feed of its own. */
function Collect({ adapters, curves }: { adapters: readonly Adapter[]; curves: readonly Curve[] }) {
  const next = adapters[curves.length];
  if (next) return <Next key={next.id} adapters={adapters} curves={curves} jobId={next.job_id!} />;
  return <Curves names={adapters.map(({ id }) => id)} curves={curves} />;
}

function Next({
  adapters,
  curves,
  jobId,
}: {
  adapters: readonly Adapter[];
  curves: readonly Curve[];
  jobId: string;
}) {
  const { events } = useFeed(jobId);
  return <Collect adapters={adapters} curves={[...curves, epochsOf(events)]} />;
}

function Curves({ names, curves }: { names: readonly string[]; curves: readonly Curve[] }) {
  const epochs = [...new Set(curves.flatMap((curve) => curve.map(({ epoch }) => epoch)))].sort(
    (a, b) => a - b,
  );
  const linesOf = (of: 'f1' | 'validLoss') =>
    curves.map((curve, i) => ({
      name: names[i]!,
      values: epochs.map((epoch) => curve.find((one) => one.epoch === epoch)?.[of] ?? null),
      axis: of === 'f1' ? ('right' as const) : ('left' as const),
    }));
  if (epochs.length < 2) return null;
  return (
    <div class="columns">
      <section class="card" aria-labelledby="f1-curves">
        <h2 id="f1-curves">F1 by epoch</h2>
        <Chart label={`F1 by epoch of ${names.join(', ')}`} x={epochs} series={linesOf('f1')} />
      </section>
      <section class="card" aria-labelledby="loss-curves">
        <h2 id="loss-curves">Validation loss by epoch</h2>
        <Chart
          label={`Validation loss by epoch of ${names.join(', ')}`}
          x={epochs}
          series={linesOf('validLoss')}
        />
      </section>
    </div>
  );
}
