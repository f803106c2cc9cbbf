/** A point, with half the length of its error bar. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly error?: number;
}

/** A line. Lines of one name have one colour in all panels, and one entry in the legend. */
export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
  readonly dashed?: boolean;
  /** True to draw dots with the name beside them instead of a line with an entry in the legend. */
  readonly dots?: boolean;
}

export interface Panel {
  readonly title: string;
  readonly series: readonly Series[];
  /** Marks of the x axis; round numbers by default. */
  readonly xTicks?: readonly { readonly x: number; readonly label: string }[];
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly panels: readonly Panel[];
}

const COLUMNS = 3;
const PLOT = { width: 240, height: 150 };
const MARGIN = { left: 52, right: 14, top: 30, bottom: 44 };
const CELL = {
  width: MARGIN.left + PLOT.width + MARGIN.right,
  height: MARGIN.top + PLOT.height + MARGIN.bottom,
};
/** Smallest width that holds the title and the legend's longest name. */
const LEAST_WIDTH = 2 * CELL.width;
const LEGEND_ROW = 18;
const LEGEND_TOP = 34;
const TICKS = 5;
/** Colours that the colour-blind can tell apart on light and dark ground (Okabe & Ito 2008, without its yellow and black). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];

const STYLE = `
  .ground { fill: #ffffff; }
  text { font: 11px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 12px; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .axis { stroke: #57606a; stroke-width: 1; fill: none; }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
  .dashed { stroke-dasharray: 5 3; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; }
    text { fill: #e6edf3; }
    .grid { stroke: #30363d; }
    .axis { stroke: #8b949e; }
  }`;

/** Panels of lines as an SVG that follows the reader's light or dark ground. Panels without points are left out. */
export function chartSvg({ title, xLabel, yLabel, panels }: Chart): string {
  const shown = panels.filter(({ series }) => series.some(({ points }) => points.length > 0));
  const all = shown.flatMap(({ series }) => series);
  const names = [...new Set(all.map(({ name }) => name))];
  const inLegend = [...new Set(all.filter(({ dots }) => !dots).map(({ name }) => name))];
  const colourOf = (name: string) => COLOURS[names.indexOf(name) % COLOURS.length]!;
  const columns = Math.max(1, Math.min(COLUMNS, shown.length));
  const top = LEGEND_TOP + inLegend.length * LEGEND_ROW;
  const width = Math.max(LEAST_WIDTH, columns * CELL.width);
  const height = top + Math.ceil(shown.length / columns) * CELL.height;
  const legend = inLegend.map((name, i) => {
    const y = LEGEND_TOP + i * LEGEND_ROW;
    const line = `<line class="line" stroke="${colourOf(name)}" x1="14" x2="40" y1="${y - 4}" y2="${y - 4}"/>`;
    return `${line}<text x="48" y="${y}">${escaped(name)}</text>`;
  });
  const drawn = shown.map((panel, i) => {
    const at = {
      x: (i % columns) * CELL.width + MARGIN.left,
      y: top + Math.floor(i / columns) * CELL.height,
    };
    return `<g transform="translate(${at.x} ${at.y + MARGIN.top})">${drawPanel(panel, { xLabel, yLabel, colourOf })}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title><style>${STYLE}\n</style>`,
    `<rect class="ground" width="${width}" height="${height}"/>`,
    `<text class="title" x="14" y="18">${escaped(title)}</text>`,
    ...legend,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

interface Look {
  readonly xLabel: string;
  readonly yLabel: string;
  colourOf(name: string): string;
}

function drawPanel(panel: Panel, { xLabel, yLabel, colourOf }: Look): string {
  const points = panel.series.flatMap((series) => series.points);
  const xTicks = panel.xTicks ?? roundTicks(points.map(({ x }) => x)).map((x) => ({ x, label: shown(x) }));
  const yTicks = roundTicks(points.flatMap(({ y, error = 0 }) => [y - error, y + error]));
  const xOf = scale(
    [...points, ...xTicks].map(({ x }) => x),
    0,
    PLOT.width,
  );
  const yOf = scale(yTicks, PLOT.height, 0);
  const middle = PLOT.height / 2;
  return [
    `<text class="title" x="0" y="-10">${escaped(panel.title)}</text>`,
    ...yTicks.map(
      (y) =>
        `<line class="grid" x1="0" x2="${PLOT.width}" y1="${yOf(y)}" y2="${yOf(y)}"/>` +
        `<text text-anchor="end" x="-6" y="${yOf(y) + 4}">${shown(y)}</text>`,
    ),
    ...xTicks.map(
      ({ x, label }) =>
        `<text text-anchor="middle" x="${xOf(x)}" y="${PLOT.height + 16}">${escaped(label)}</text>`,
    ),
    `<path class="axis" d="M0 0V${PLOT.height}H${PLOT.width}"/>`,
    `<text text-anchor="middle" x="${PLOT.width / 2}" y="${PLOT.height + 33}">${escaped(xLabel)}</text>`,
    `<text text-anchor="middle" transform="translate(-40 ${middle}) rotate(-90)">${escaped(yLabel)}</text>`,
    ...panel.series.map((series) => drawSeries(series, xOf, yOf, colourOf(series.name))),
  ].join('\n');
}

type Scale = (value: number) => number;

function drawSeries({ name, points, dashed, dots }: Series, xOf: Scale, yOf: Scale, colour: string): string {
  const line = points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${xOf(x)} ${yOf(y)}`).join('');
  const path = dots ? '' : line;
  const bars = points
    .filter(({ error }) => error !== undefined)
    .map(({ x, y, error = 0 }) => `M${xOf(x)} ${yOf(y - error)}V${yOf(y + error)}`);
  const marks = dots ? points.map(({ x, y }) => drawDot(name, xOf(x), yOf(y), colour)) : [];
  return `<path class="line${dashed ? ' dashed' : ''}" stroke="${colour}" d="${path}${bars.join('')}"/>${marks.join('')}`;
}

/** Draws a dot, with its name on the side that has room. */
function drawDot(name: string, x: number, y: number, colour: string): string {
  const isRight = x > PLOT.width / 2;
  const text = `<text text-anchor="${isRight ? 'end' : 'start'}" x="${isRight ? x - 6 : x + 6}" y="${y + 4}">${escaped(name)}</text>`;
  return `<circle cx="${x}" cy="${y}" r="3.5" fill="${colour}"/>${text}`;
}

/** Maps the range of the values onto that of the plot, to a tenth of a pixel. */
function scale(values: readonly number[], from: number, to: number): Scale {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const span = high - low || 1;
  return (value) => Math.round(10 * (from + ((value - low) / span) * (to - from))) / 10;
}

/** Marks of 1, 2 or 5 times a power of ten that enclose the values. */
export function roundTicks(values: readonly number[]): number[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const raw = (high - low || Math.abs(high) || 1) / (TICKS - 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9))!;
  const [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
  return Array.from({ length: Math.max(1, last - first) + 1 }, (_, i) => (first + i) * step);
}

function shown(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
