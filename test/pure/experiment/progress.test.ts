import { describe, expect, it } from 'vitest';
import { duration } from '../../../cli/terminal/progress.ts';
import { LossCurve } from '../../../scripts/experiment/losses.ts';
import { ProgressDisplay, progressLine, TimeLeft } from '../../../scripts/experiment/progress.ts';

const PROGRESS = { step: 5, steps: 10, epoch: 1.5, loss: 0.25, tokens_per_second: 4321.6, eta_seconds: 75 };

/** A screen that remembers what is written to it, and a clock that is set by hand. */
function screenOf(isTTY: boolean) {
  const screen = {
    isTTY,
    columns: 200,
    text: '',
    now: 0,
    write(text: string) {
      screen.text += text;
    },
  };
  return { screen, display: new ProgressDisplay(screen, () => screen.now) };
}

it('a line says how far a run is, how well and how fast it goes', () => {
  expect(progressLine('auto · ag_news · seed 1', PROGRESS)).toBe(
    '██████████░░░░░░░░░░ auto · ag_news · seed 1 · epoch 1.5 · loss 0.250 · 4322 tokens/s · 1 min 15 s left',
  );
});

it.each([
  [59.4, '59 s'],
  [61, '1 min 1 s'],
  [7260, '2 h 1 min'],
])('%f seconds are %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

describe('on a terminal', () => {
  it('the lines of runs under way stand below what is finished', () => {
    const { screen, display } = screenOf(true);
    display.update('a', PROGRESS);
    display.update('b', PROGRESS);
    display.print('done');
    const lastScreen = screen.text.split('\x1b[2A\x1b[J').at(-1)!;
    expect(lastScreen.split('\n').map((line) => line.slice(0, 22).trim())).toEqual([
      'done',
      '██████████░░░░░░░░░░ a',
      '██████████░░░░░░░░░░ b',
      '',
    ]);
  });
});

describe('in a log', () => {
  it('a run says where it is once a minute, and nothing is rewritten', () => {
    const { screen, display } = screenOf(false);
    for (screen.now = 0; screen.now < 150_000; screen.now += 1000) display.update('a', PROGRESS);
    display.print('done');
    expect(screen.text.split('\n')).toHaveLength(4);
    expect(screen.text).not.toContain('\x1b');
  });
});

describe('the time that is left', () => {
  it('is unknown before anything has finished', () => {
    expect(new TimeLeft().estimate([{ configuration: 'a', work: 1 }])).toBeUndefined();
  });

  it('follows each configuration’s own rate, and that of all for one that has none', () => {
    const time = new TimeLeft();
    time.finished('slow', 10, 100);
    time.finished('fast', 10, 10);
    expect(time.estimate([{ configuration: 'slow', work: 5 }])).toBe(50);
    expect(time.estimate([{ configuration: 'new', work: 20 }])).toBe(110);
  });
});

it('a loss curve keeps a bounded number of points, spread over the whole run', () => {
  const curve = new LossCurve();
  for (let step = 0; step < 5000; step++) curve.add({ ...PROGRESS, epoch: step, loss: step });
  expect(curve.points.length).toBeLessThan(400);
  expect(curve.points[0]).toEqual([0, 0]);
  expect(curve.points.at(-1)![0]).toBeGreaterThan(4900);
});
