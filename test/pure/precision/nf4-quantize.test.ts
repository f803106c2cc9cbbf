import { describe, expect, it } from 'vitest';
import {
  DYNAMIC_CODE,
  dequantizeAbsmax,
  quantizeAbsmax,
  quantizeNf4,
} from '../../../gpu-node/precision/nf4-quantize.ts';
import { NF4_FIXTURE } from '../../support/nf4.ts';

describe.each(Object.entries(NF4_FIXTURE.matrices))('NF4, %s', (_, expected) => {
  const quantized = quantizeNf4(Float32Array.from(expected.elements));

  it("has bitsandbytes' packed codes", () => {
    expect([...quantized.codes]).toEqual(expected.codes);
  });

  it("has bitsandbytes' scales, before and after double quantization", () => {
    expect([...quantized.absmax]).toEqual(expected.absmax);
    expect([...dequantizeAbsmax(quantizeAbsmax(quantized.absmax))]).toEqual(expected.scales);
  });
});

describe('double quantization', () => {
  it("has bitsandbytes' 8-bit code", () => {
    expect([...DYNAMIC_CODE]).toEqual(NF4_FIXTURE.dynamic_code);
  });

  it("has bitsandbytes' codes, scales and offset over several blocks", () => {
    const { elements, dequantized, ...expected } = NF4_FIXTURE.scales;
    const { codes, absmax, offset } = quantizeAbsmax(Float32Array.from(elements));
    expect({ codes: [...codes], absmax: [...absmax], offset }).toEqual(expected);
    expect([...dequantizeAbsmax({ codes, absmax, offset })]).toEqual(dequantized);
  });
});
