import { describe, expect, test } from 'vitest';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import { cast, gelu, mul } from '../../../gpu-node/ops/index.ts';
import { DEVICES, DeviceError, resolveDevice } from '../../../gpu-node/runtime/device.ts';
import { floats, Session, tensor } from '../../../gpu-node/runtime/session.ts';

function model(): Uint8Array {
  const graph = new Graph('model');
  const x = graph.input('x', 'float32', ['batch', 2]);
  graph.output('double', mul(x, 2));
  graph.output('whole', cast(x, 'int32'));
  graph.output('gelu', gelu(x));
  return encodeModel(graph);
}

describe('a session', () => {
  test('returns all outputs, or those that are asked for', async () => {
    const session = await Session.create(model(), { threads: 1 });
    const feeds = { x: tensor('float32', [1, 2], Float32Array.of(3, 4)) };
    const all = await session.run(feeds);
    expect(floats(all, 'double')).toEqual(Float32Array.of(6, 8));
    expect(all.whole).toEqual({ dtype: 'int32', shape: [1, 2], data: Int32Array.of(3, 4) });
    expect(() => floats(all, 'whole')).toThrow('output whole is int32, not float32');
    expect(Object.keys(await session.run(feeds, ['gelu']))).toEqual(['gelu']);
    await session.release();
  });

  test('names itself and the feed when a feed does not fit', async () => {
    const session = await Session.create(model(), { name: 'model of spam@3', threads: 1 });
    await expect(session.run({})).rejects.toThrow(/model of spam@3: .*'x'/);
    const wrong = { x: tensor('float32', [1, 3], new Float32Array(3)) };
    await expect(session.run(wrong)).rejects.toThrow(/model of spam@3: .*x/s);
    await session.release();
  });

  test('names itself when the runtime rejects its model', async () => {
    await expect(Session.create(Uint8Array.of(1, 2, 3), { name: 'broken' })).rejects.toThrow(
      'broken: the runtime rejects the model',
    );
  });
});

describe('WEFT_DEVICE', () => {
  test('is cpu by default', async () => {
    expect(await resolveDevice(undefined)).toBe('cpu');
    expect(await resolveDevice('')).toBe('cpu');
  });

  test('refuses a name that is no device', async () => {
    await expect(resolveDevice('tpu')).rejects.toThrow('WEFT_DEVICE is tpu; it must be cpu, webgpu or cuda');
  });

  test.each(DEVICES)('runs on %s, or says what there is instead', async (device) => {
    const answer = await resolveDevice(device).catch((error: unknown) => error);
    if (answer === device) return;
    expect(answer).toBeInstanceOf(DeviceError);
    expect(String(answer)).toMatch(
      new RegExp(`WEFT_DEVICE is ${device}, which does not run here .*available: cpu`),
    );
  });
});
