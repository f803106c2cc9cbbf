import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { theme } from '../store/session.ts';

export interface Series {
  readonly name: string;
  /** One value for each x; null leaves a gap. */
  readonly values: readonly (number | null)[];
  /** `right` runs from 0 to 1. */
  readonly axis: 'left' | 'right';
  /** A dashed line to compare with, without points. */
  readonly isReference?: boolean;
}

interface ChartProps {
  /** What it shows, for who does not see it. */
  label: string;
  x: readonly number[];
  series: readonly Series[];
  /** An x that gets a vertical line. */
  marked?: number;
  /** The range of x; by default that of its values. */
  range?: readonly [number, number];
}

const HEIGHT = 240;
const COLOURS = ['--accent', '--second', '--good'];
const KEYS = ['first', 'second', 'third'];

/** Lines over x. Its colours are read when it is drawn, so it is drawn again with the theme. */
export function Chart({ label, x, series, marked, range }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const chosen = theme.value;
  useEffect(() => {
    const place = box.current!;
    const draw = () =>
      new uPlot(optionsOf({ label, x, series, marked, range }, place.clientWidth), dataOf(x, series), place);
    let plot = draw();
    const resized = new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT }));
    resized.observe(place);
    const system = matchMedia('(prefers-color-scheme: dark)');
    const again = () => {
      plot.destroy();
      plot = draw();
    };
    system.addEventListener('change', again);
    return () => {
      system.removeEventListener('change', again);
      resized.disconnect();
      plot.destroy();
    };
  }, [JSON.stringify([x, series, marked, range]), chosen]);
  return (
    <div>
      <div class="chart" role="img" aria-label={label} ref={box} />
      <div class="chart-keys" aria-hidden="true">
        {series.map(({ name }, i) => (
          <span key={name}>
            <i class={KEYS[i]} />
            {name}
          </span>
        ))}
      </div>
    </div>
  );
}

function dataOf(x: readonly number[], series: readonly Series[]): uPlot.AlignedData {
  return [[...x], ...series.map(({ values }) => [...values])] as uPlot.AlignedData;
}

function optionsOf(
  {
    x,
    series,
    marked,
    range,
  }: Omit<ChartProps, 'marked' | 'range'> & {
    marked: number | undefined;
    range: readonly [number, number] | undefined;
  },
  width: number,
): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => resolved(style.getPropertyValue(name));
  const axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  const whole = x.every(Number.isInteger);
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: {
      x: { time: false, ...(range && { range: [range[0], range[1]] as uPlot.Range.MinMax }) },
      left: { range: (_plot, _min, max) => [0, max > 0 ? 1.08 * max : 1] },
      right: { range: [0, 1] },
    },
    axes: [
      { ...axis, size: 30, ...(whole && { incrs: [1, 2, 5, 10, 20] }) },
      { ...axis, scale: 'left' },
      ...(series.some((one) => one.axis === 'right') && series.some((one) => one.axis === 'left')
        ? [{ ...axis, scale: 'right', side: 1 as const, grid: { show: false } }]
        : []),
    ],
    series: [
      {},
      ...series.map(({ name, axis: scale, isReference }, i) => ({
        label: name,
        scale,
        stroke: colour(COLOURS[i]!),
        width: isReference ? 1 : 2,
        ...(isReference && { dash: [6, 4] }),
        points: { show: !isReference, size: 6, fill: colour(COLOURS[i]!) },
      })),
    ],
    hooks: { draw: marked === undefined ? [] : [(plot) => markAt(plot, marked, colour('--muted'))] },
  };
}

function markAt(plot: uPlot, x: number, colour: string): void {
  const at = plot.valToPos(x, 'x', true);
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  ctx.moveTo(at, bbox.top);
  ctx.lineTo(at, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

/** A canvas does not know `light-dark()`, which an element's own colour resolves. */
function resolved(value: string): string {
  const probe = document.createElement('i');
  probe.style.color = value;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
