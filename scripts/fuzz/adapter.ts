import { join } from 'node:path';
import { describeForServing, parseImport } from '../../edge/adapters/import-request.ts';
import type { ImportBase } from '../../edge/base-models.ts';
import { joinBytes } from '../../edge/upload/bytes.ts';
import { receiveAdapter } from '../../edge/upload/receive-adapter.ts';
import { adapterBase } from '../../gpu-node/models/adapter-base.ts';
import type { Architecture } from '../../gpu-node/models/model.ts';
import { type BaseModelOutline, outlineBaseModel } from '../../gpu-node/models/open-base-model.ts';
import type { LinearLayer } from '../../gpu-node/models/sites.ts';
import { readAdapterFiles } from '../../gpu-node/weights/adapter-file.ts';
import { readMetrics } from '../../shared/adapter-check.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, WEFT_FILE } from '../../shared/adapter-format.ts';
import { PEFT_PREFIX, tensorName } from '../../shared/methods/format.ts';
import { formatOf } from '../../shared/methods/index.ts';
import { loraTensorName, magnitudeTensorName } from '../../shared/methods/lora.ts';
import { PROMPT_TENSOR } from '../../shared/methods/prompt-format.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import { BOUNDARY, multipartBody, type TestPart } from '../../test/support/multipart-body.ts';
import type { Choices } from './choices.ts';
import { chunksOf, corrupted, whole } from './grammar/bytes.ts';
import { jsonText } from './grammar/json.ts';
import { safetensorsBytes } from './grammar/safetensors.ts';
import { expect, expectEqual, outcomeOf } from './oracle.ts';
import type { Check } from './target.ts';

const FIXTURES = ['tiny-bert', 'tiny-roberta', 'tiny-distilbert'] as const;
const SHA256 = '0'.repeat(64);
const encoder = new TextEncoder();

interface Base {
  id: string;
  outline: BaseModelOutline;
}

/**
 * Fuzzes files of an adapter as a client imports them. Nodes must accept whatever the edge accepts, or its name answers nothing but errors.
 */
export async function adapter(): Promise<Check> {
  const bases = await Promise.all(FIXTURES.map(openBase));
  return async (choices) => {
    const base = choices.pick(bases);
    const { config, weights, beside } = adapterOf(base, choices);
    const body = multipartBody([
      ...beside,
      { name: ADAPTER_CONFIG_FILE, filename: ADAPTER_CONFIG_FILE, content: config },
      { name: ADAPTER_WEIGHTS_FILE, filename: ADAPTER_WEIGHTS_FILE, content: weights },
    ]);
    const [atOnce, inChunks] = [
      await importOf(whole(body), base),
      await importOf(chunksOf(body, choices), base),
    ];
    expectEqual(inChunks, atOnce, 'an import in one chunk and in many');
    if ('refused' in atOnce) {
      expect(!choices.isSound, `a sound adapter is refused: ${atOnce.refused.message}`);
      return;
    }
    const { stored, weft } = atOnce.value;
    expectEqual(stored, weights, 'the weights that were sent and those that are stored');
    const files = {
      [ADAPTER_CONFIG_FILE]: config,
      [ADAPTER_WEIGHTS_FILE]: stored,
      [WEFT_FILE]: weft,
    };
    const served = await outcomeOf(() => readAdapterFiles(files, importBase(base), 'the adapter'));
    expect(
      'value' in served,
      `the edge takes what a node refuses: ${'refused' in served && served.refused.message}`,
    );
  };
}

/** Imports a form as the edge does, and returns the files that it stores. */
function importOf(body: AsyncIterable<Uint8Array>, base: Base) {
  return outcomeOf(async () => {
    const chunks: Uint8Array[] = [];
    const sink = { write: async (bytes: Uint8Array) => void chunks.push(bytes.slice()) };
    const received = await receiveAdapter(body, BOUNDARY, () => sink);
    const weft = describeForServing(parseImport(received), importBase(base));
    readMetrics(weft, 'the import');
    return {
      stored: joinBytes(chunks),
      weft: received.files.get(WEFT_FILE) ?? encoder.encode(JSON.stringify(weft)),
    };
  });
}

async function openBase(id: string): Promise<Base> {
  const folder = join('test/fixtures', id);
  return { id, outline: await outlineBaseModel({ id, folder, sha256: SHA256, weightsFolder: folder }) };
}

/** A node's description of a base model when it registers, against which the edge checks adapters. */
function importBase({ id, outline }: Base): ImportBase {
  return { ...adapterBase({ id, sha256: SHA256 }, outline), precisions: ['fp32', 'int8'] };
}

/** For each method, the tensors of one layer by name, and the keys of adapter_config.json. */
const METHODS: readonly ((choices: Choices) => {
  shapesOf(layer: LinearLayer, architecture: Architecture): [string, number[]][];
  /** What the file calls a tensor of the head, where that is not what most methods' files call it. */
  headName?(name: string): string;
  config: object;
})[] = [
  (choices) => {
    const r = choices.between(1, 3);
    const use_dora = choices.rarely(3);
    const key = choices.usually(['query', '.*', 'layer.0', '[z-a]', '(a+)+$', '']);
    const pattern = choices.rarely(4) ? { [key]: choices.usually([r, 300, 0]) } : {};
    return {
      shapesOf: ({ name, inFeatures, outFeatures }) => [
        [loraTensorName(name, 'A'), [r, inFeatures]],
        [loraTensorName(name, 'B'), [choices.fault(20) ? outFeatures + 1 : outFeatures, r]],
        ...(use_dora ? [[magnitudeTensorName(name), [outFeatures]] as [string, number[]]] : []),
      ],
      config: {
        peft_type: 'LORA',
        r,
        lora_alpha: choices.usually([8, 1e-9, 1e6, 1e300]),
        rank_pattern: pattern,
        alpha_pattern: choices.rarely(4) ? pattern : {},
        use_rslora: choices.rarely(4),
        use_dora,
        bias: 'none',
        lora_dropout: 0.1,
      },
    };
  },
  (choices) => ({
    shapesOf: ({ name, inFeatures, outFeatures }) => {
      const size = choices.fault(20) ? 1 : 0;
      return [
        [tensorName(name, 'ia3_l'), choices.rarely(3) ? [1, inFeatures + size] : [outFeatures + size, 1]],
      ];
    },
    config: { peft_type: 'IA3', feedforward_modules: [], init_ia3_weights: true },
  }),
  (choices) => {
    const r = choices.between(1, 2);
    return {
      shapesOf: ({ name, inFeatures, outFeatures }) => {
        const size = choices.fault(20) ? outFeatures + 1 : outFeatures;
        if (choices.rarely(2)) return [[tensorName(name, 'bias'), [size]]];
        // What the scan finds of a matrix of random numbers is no 0: only a file without one is sound.
        return choices.fault(6)
          ? [
              [tensorName(name, 'base_layer.bias'), [size]],
              [loraTensorName(name, 'A'), [r, inFeatures]],
              [loraTensorName(name, 'B'), [outFeatures, r]],
            ]
          : [[tensorName(name, 'bias'), [outFeatures]]];
      },
      config: { peft_type: 'LORA', r, bias: choices.pick(['all', 'lora_only']), init_lora_weights: true },
    };
  },
  (choices) => {
    const variant = choices.usually(['road_1', 'road_2', 'road_4', 'road_3'] as const);
    const factor = { road_1: 0.5, road_2: 1, road_4: 2, road_3: 1 }[variant];
    return {
      shapesOf: ({ name, outFeatures }) => {
        const size = factor * outFeatures;
        return [
          [tensorName(name, 'road_theta'), [size]],
          [tensorName(name, 'road_alpha'), [choices.fault(20) ? size + 1 : size]],
        ];
      },
      config: {
        peft_type: 'ROAD',
        variant,
        group_size: choices.usually([8, 2, 16, 0, 3, 1e9]),
        init_weights: true,
      },
    };
  },
  (choices) => {
    const count = choices.usually([3, 1, 30, 505]);
    const type = choices.pick(['prompt_tuning', 'p_tuning'] as const);
    return {
      shapesOf: (_layer, { hiddenSize }) => [
        [PROMPT_TENSOR, [count, choices.fault(20) ? hiddenSize + 1 : hiddenSize]],
      ],
      headName: formatOf(type).fileName,
      config: {
        peft_type: formatOf(type).peftType,
        num_virtual_tokens: choices.usually([count, 0, 2.5, '3']),
        num_transformer_submodules: choices.usually([1, null, 2]),
        token_dim: 32,
      },
    };
  },
];

function adapterOf({ id, outline: { architecture } }: Base, choices: Choices) {
  const pooling = choices.pick(['mean', 'cls'] as const);
  const labels = Array.from({ length: choices.between(2, 4) }, (_, i) => `label ${i}`);
  const method = choices.pick(METHODS)(choices);
  const linears = architecture.linears(pooling);
  const layers = [choices.pick(linears), ...linears.filter(() => choices.rarely(3))];
  const shapes = new Map<string, readonly number[]>(
    layers.flatMap((layer) => method.shapesOf(layer, architecture)),
  );
  const { headName = (name) => PEFT_PREFIX + name } = method;
  for (const { name, inFeatures, outFeatures } of architecture.head.layers) {
    const rows = outFeatures === 'labels' ? labels.length : outFeatures;
    shapes.set(headName(`${name}.weight`), [rows, inFeatures]);
    shapes.set(headName(`${name}.bias`), [rows]);
  }
  const config = {
    task_type: 'SEQ_CLS',
    target_modules: ['query'],
    base_model_name_or_path: id,
    ...method.config,
  };
  const metadata = choices.pick([undefined, { format: 'pt' }]);
  const dtype = choices.pick(['F32', 'F16', 'BF16']);
  return {
    config: choices.note('config', corrupted(encoder.encode(jsonText(config, choices)), choices)),
    weights: choices.note('weights', safetensorsBytes(shapes, metadata, choices, dtype)),
    beside: choices.note('beside', besideOf(id, labels, pooling, choices)),
  };
}

/** The rest of an import's facts: fields, or the weft.json of another platform, or at the price of a fault both. */
function besideOf(id: string, labels: string[], pooling: Pooling, choices: Choices): TestPart[] {
  const precision = choices.usually(['fp32', 'int8', 'nf4']);
  const length = choices.usually([32, 16, 8, 512, 7, Number.NaN]);
  const weft = {
    format: 1,
    labels,
    pooling,
    max_length: length,
    base_model: id,
    base_model_sha256: SHA256,
    base_precision: precision,
    temperature: choices.usually([2, 0.05, 0, -1, 1e9]),
    metrics: choices.usually([null, {}, 'x'.repeat(2e6), []]),
  };
  const file = { name: WEFT_FILE, filename: WEFT_FILE, content: jsonText(weft, choices) };
  const fields = [
    { name: 'labels', content: jsonText(labels, choices) },
    { name: 'pooling', content: pooling },
    { name: 'max_length', content: String(length) },
    { name: 'base_precision', content: precision },
  ];
  const name = { name: 'name', content: 'spam' };
  if (choices.fault(6)) return [name, file, ...fields];
  return choices.rarely(2) ? [name, file] : [name, ...fields];
}
