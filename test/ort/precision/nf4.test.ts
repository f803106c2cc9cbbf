import { describe, expect, it } from 'vitest';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import { dequantize } from '../../../gpu-node/ops/index.ts';
import { floats, Session } from '../../../gpu-node/runtime/session.ts';
import { NF4_FIXTURE } from '../../support/nf4.ts';

describe.each(Object.entries(NF4_FIXTURE.matrices))('an unpacked matrix, %s', (_, expected) => {
  it("is bitsandbytes' bit for bit", async () => {
    const graph = new Graph('unpack');
    const [outFeatures, inFeatures] = expected.shape;
    const codes = graph.constant('uint8', [expected.codes.length], expected.codes);
    const absmax = graph.constant('float32', [expected.scales.length], expected.scales);
    graph.output('matrix', dequantize({ codes, absmax, outFeatures, inFeatures }));
    const session = await Session.create(encodeModel(graph), { threads: 1 });
    const unpacked = floats(await session.run({}), 'matrix');
    await session.release();
    expect(unpacked).toEqual(Float32Array.from(expected.dequantized));
  });
});
