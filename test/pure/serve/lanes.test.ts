import { expect, it } from 'vitest';
import { lanesOf } from '../../../gpu-node/serve/lanes.ts';

it('a processor has a lane a thread, four at most', () => {
  const lanes = [1, 2, 3, 4, 8, 11].map((threads) => lanesOf('cpu', threads));
  expect(lanes.map(({ count, threads }) => [count, threads])).toEqual([
    [1, 1],
    [2, 1],
    [3, 1],
    [4, 1],
    [4, 2],
    [4, 2],
  ]);
});

it('its runs are as long as its threads and the precision make worth while', () => {
  const tokens = (threads: number) => {
    const { runTokens } = lanesOf('cpu', threads);
    return [runTokens('fp32'), runTokens('int8'), runTokens('nf4')];
  };
  expect([tokens(2), tokens(8)]).toEqual([
    [256, 128, 256],
    [512, 256, 512],
  ]);
});

it('another device has one lane, of long runs', () => {
  const { count, runTokens } = lanesOf('webgpu', 8);
  expect([count, runTokens('fp32')]).toEqual([1, 4096]);
});
