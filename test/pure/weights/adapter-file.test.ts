import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type AdapterContents,
  readAdapterFiles,
  writeAdapterFiles,
} from '../../../gpu-node/weights/adapter-file.ts';
import { bundleId } from '../../../gpu-node/weights/bundle-files.ts';
import type { AdapterBase } from '../../../shared/adapter-check.ts';
import {
  bundleManifest,
  canonicalManifest,
  LAYOUTS,
  type LayoutFile,
} from '../../../shared/adapter-format.ts';
import type { LoraTarget } from '../../../shared/methods/lora.ts';
import type { LoraConfig } from '../../../shared/peft-config.ts';
import { type Tensor, toFloat32 } from '../../../shared/safetensors.ts';
import { bertOf } from '../../support/encoders.ts';

const BASE: AdapterBase = {
  id: 'tiny-bert',
  sha256: 'a'.repeat(64),
  family: 'bert',
  hidden_size: 4,
  num_layers: 2,
  intermediate_size: 8,
  max_length: 64,
};
const QUERY = 'bert.encoder.layer.1.attention.self.query';
const METHOD: LoraConfig = {
  type: 'lora',
  r: 2,
  alpha: 8,
  dropout: 0,
  use_rslora: false,
  use_dora: false,
  target_modules: ['query'],
  pooling: 'mean',
  base_precision: 'fp32',
};
const CONTENTS: AdapterContents = {
  method: METHOD,
  encoder: bertOf(4),
  modules: [QUERY],
  baseModel: 'tiny-bert',
  revision: null,
  tensors: new Map([
    [`${QUERY}.lora_A.weight`, { shape: [2, 4], data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) }],
    [`${QUERY}.lora_B.weight`, { shape: [4, 2], data: new Float32Array(8).fill(0.5) }],
    ['classifier.weight', { shape: [2, 4], data: new Float32Array(8).fill(0.25) }],
    ['classifier.bias', { shape: [2], data: Float32Array.of(0.1, -0.1) }],
  ]),
  weft: {
    format: 1,
    labels: ['ham', 'spam'],
    pooling: 'mean',
    max_length: 64,
    base_model: 'tiny-bert',
    base_model_sha256: BASE.sha256,
    base_precision: 'fp32',
    metrics: null,
  },
};

const filled = (shape: number[], value: number): Tensor => {
  return { shape, data: new Float32Array(shape.reduce((a, b) => a * b)).fill(value) };
};
/** The adapter's tensors, one of them filled with a value. */
const withTensor = (name: string, shape: number[], value: number) =>
  new Map([...CONTENTS.tensors, [name, filled(shape, value)]]);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft adapter '));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(contents: Partial<AdapterContents> = {}) {
  const manifest = await writeAdapterFiles(folder, { ...CONTENTS, ...contents });
  const bytes = await Promise.all(LAYOUTS.peft.files.map((name) => readFile(join(folder, name))));
  const files = Object.fromEntries(LAYOUTS.peft.files.map((name, i) => [name, bytes[i]!])) as Record<
    LayoutFile<'peft'>,
    Buffer
  >;
  return { manifest, files };
}
const read = (files: Record<LayoutFile<'peft'>, Uint8Array>, base = BASE) =>
  readAdapterFiles(files, base, 'adapter spam@3');

describe("an adapter's files", () => {
  it('read back as they were written', async () => {
    const { files } = await write();
    const { weft, description, weights } = read(files);
    expect(weft).toEqual(CONTENTS.weft);
    expect(description.targets).toMatchObject([{ module: QUERY, r: 2, scaling: 4 }]);
    const [target] = description.targets;
    const { a } = target as LoraTarget;
    expect(toFloat32(weights.subarray(a.begin, a.end), a)).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  });

  it('have a manifest whose hash is their id, equal for equal contents', async () => {
    const first = await write();
    bundleManifest.parse(first.manifest);
    const second = await write();
    expect(second.manifest).toEqual(first.manifest);
    expect(canonicalManifest(first.manifest).split('\n')).toHaveLength(4);
    expect(bundleId(first.files)).toBe(bundleId(second.files));
  });

  it.each<[string, Partial<AdapterContents>, string]>([
    [
      'trained on other weights',
      { weft: { ...CONTENTS.weft, base_model_sha256: 'b'.repeat(64) } },
      'it was trained on base model tiny-bert (SHA-256 bbbbbbbbbbbb…), not on tiny-bert (aaaaaaaaaaaa…)',
    ],
    ['with a label too many', { weft: { ...CONTENTS.weft, labels: ['a', 'b', 'c'] } }, '3 labels are given'],
    [
      'for longer texts',
      { weft: { ...CONTENTS.weft, max_length: 128 } },
      'max_length is 128, base model tiny-bert takes',
    ],
    [
      'with a NaN',
      {
        tensors: new Map([
          ...CONTENTS.tensors,
          ['classifier.bias', { shape: [2], data: Float32Array.of(0, Number.NaN) }],
        ]),
      },
      'adapter_model.safetensors: base_model.model.classifier.bias [2] holds NaN at element 1',
    ],
    [
      'with an infinity',
      {
        tensors: new Map([
          ...CONTENTS.tensors,
          [
            `${QUERY}.lora_A.weight`,
            { shape: [2, 4], data: new Float32Array(8).fill(Number.NEGATIVE_INFINITY) },
          ],
        ]),
      },
      `adapter_model.safetensors: base_model.model.${QUERY}.lora_A.weight [2,4] holds -Infinity at element 0`,
    ],
    [
      'with a matrix too large to be used',
      { tensors: withTensor(`${QUERY}.lora_A.weight`, [2, 4], 3e6) },
      `lora_A of ${QUERY} has a norm of 8.49e+6, at most 1000000 is served`,
    ],
    [
      'with a scaling that makes one so',
      { method: { ...METHOD, alpha: 1_000_000 } },
      `lora_B times lora_A of ${QUERY}, scaled by 500000, has a norm of 1.01e+7`,
    ],
    [
      'with matrices whose product is too large',
      {
        tensors: new Map([
          ...withTensor(`${QUERY}.lora_A.weight`, [2, 4], 1e3),
          [`${QUERY}.lora_B.weight`, filled([4, 2], 1e3)],
        ]),
      },
      `lora_B times lora_A of ${QUERY}, scaled by 4, has a norm of 3.20e+7, at most 1000000 is served`,
    ],
    [
      'with a head too large to be used',
      { tensors: withTensor('classifier.weight', [2, 4], 3e38) },
      'classifier.weight has a norm of 8.49e+38, at most 1000000 is served',
    ],
    [
      'with a bias too large to be used',
      { tensors: withTensor('classifier.bias', [2], -1e30) },
      'classifier.bias has a norm of 1.41e+30, at most 1000000 is served',
    ],
    [
      'with a magnitude too large to be used',
      {
        method: { ...METHOD, use_dora: true },
        tensors: withTensor(`${QUERY}.lora_magnitude_vector`, [4], 1e6),
      },
      `lora_magnitude_vector of ${QUERY} has a norm of 2.00e+6, at most 1000000 is served`,
    ],
    ['with a temperature of 0', { weft: { ...CONTENTS.weft, temperature: 0 } }, 'weft.json: temperature: '],
    [
      'with a temperature beyond use',
      { weft: { ...CONTENTS.weft, temperature: 1e9 } },
      'weft.json: temperature: ',
    ],
    [
      'of another width',
      {
        tensors: new Map([
          ...CONTENTS.tensors,
          [`${QUERY}.lora_A.weight`, { shape: [2, 8], data: new Float32Array(16) }],
        ]),
      },
      `lora_A of ${QUERY} is [2,8], the base model needs [2,4]`,
    ],
  ])('%s are refused', async (_what, contents, message) => {
    const { files } = await write(contents);
    expect(() => read(files)).toThrow(`adapter spam@3: ${message}`);
  });

  it('are refused where they need a pooling that the base model has no weights for', async () => {
    const { files } = await write({ weft: { ...CONTENTS.weft, pooling: 'cls' } });
    expect(read(files).weft.pooling).toBe('cls');
    expect(() => read(files, { ...BASE, poolings: ['mean'] })).toThrow(
      'adapter spam@3: pooling cls needs a pooler, which base model tiny-bert lacks: it serves mean',
    );
  });

  it('are refused where one is too large, or no JSON', async () => {
    const { files } = await write();
    const large = { ...files, 'adapter_config.json': new Uint8Array(300_000) };
    expect(() => read(large)).toThrow('adapter_config.json has 300000 bytes, at most 262144 are read');
    expect(() => read({ ...files, 'weft.json': Buffer.from('{') })).toThrow('weft.json is not JSON');
    expect(() => read({ ...files, 'weft.json': Buffer.from('{"format":2}') })).toThrow('weft.json: format');
  });
});
