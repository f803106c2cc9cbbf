import { expect, it } from 'vitest';
import { describeMachine } from '../../../gpu-node/runtime/machine.ts';

it('is described by what the bits of a result depend on, the same each time', () => {
  const here = describeMachine({ device: 'cpu', threads: 2 });
  expect(here).toMatch(
    /^\w+ with CPU features [0-9a-f]{8}, 2 threads, cpu, onnxruntime [\d.]+, Node v[\d.]+$/,
  );
  expect(describeMachine({ device: 'cpu', threads: 2 })).toBe(here);
  expect(describeMachine({ device: 'cpu', threads: 1 })).not.toBe(here);
  expect(describeMachine({ device: 'webgpu', threads: 2 })).not.toBe(here);
});
