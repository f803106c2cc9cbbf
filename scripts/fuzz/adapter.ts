import { join } from 'node:path';
import { describeForServing, type ImportBase, parseImport } from '../../edge/import-request.ts';
import { joinBytes } from '../../edge/upload/bytes.ts';
import { receiveAdapter } from '../../edge/upload/receive-adapter.ts';
import { adapterBase } from '../../gpu-node/models/adapter-base.ts';
import { type BaseModelOutline, outlineBaseModel } from '../../gpu-node/models/open-base-model.ts';
import { readAdapterFiles } from '../../gpu-node/weights/adapter-file.ts';
import { classifierTensorName } from '../../shared/adapter-description.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, WEFT_FILE } from '../../shared/adapter-format.ts';
import { loraTensorName, magnitudeTensorName } from '../../shared/formats/lora.ts';
import { BOUNDARY, multipartBody } from '../../test/support/multipart-body.ts';
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

/** Files of an adapter as a client imports them. What the edge takes the nodes must take too, or its name answers nothing but errors. */
export async function adapter(): Promise<Check> {
  const bases = await Promise.all(FIXTURES.map(openBase));
  return async (choices) => {
    const base = choices.pick(bases);
    const { config, weights, fields } = adapterOf(base, choices);
    const body = multipartBody([
      ...fields.map(([name, content]) => ({ name, content })),
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
    const read = (weftText: string) => {
      const files = {
        [ADAPTER_CONFIG_FILE]: config,
        [ADAPTER_WEIGHTS_FILE]: stored,
        [WEFT_FILE]: encoder.encode(weftText),
      };
      return outcomeOf(() => readAdapterFiles(files, importBase(base), 'the adapter'));
    };
    const served = await read(JSON.stringify(weft));
    expect(
      'value' in served,
      `the edge takes what a node refuses: ${'refused' in served && served.refused.message}`,
    );
    await read(choices.note('weft.json', jsonText({ ...weft, temperature: 2 }, choices)));
  };
}

/** What the edge makes of a form: the weights that it stores, and what is served beside them. */
function importOf(body: AsyncIterable<Uint8Array>, base: Base) {
  return outcomeOf(async () => {
    const chunks: Uint8Array[] = [];
    const sink = { write: async (bytes: Uint8Array) => void chunks.push(bytes.slice()) };
    const received = await receiveAdapter(body, BOUNDARY, sink);
    return { stored: joinBytes(chunks), weft: describeForServing(parseImport(received), importBase(base)) };
  });
}

async function openBase(id: string): Promise<Base> {
  const folder = join('test/fixtures', id);
  return { id, outline: await outlineBaseModel({ id, folder, sha256: SHA256, weightsFolder: folder }) };
}

/** What a node says of a base model when it registers, and checks adapters against itself. */
function importBase({ id, outline }: Base): ImportBase {
  return { ...adapterBase({ id, sha256: SHA256 }, outline), precisions: ['fp32', 'int8'] };
}

function adapterOf({ id, outline: { architecture } }: Base, choices: Choices) {
  const pooling = choices.pick(['mean', 'cls'] as const);
  const dora = choices.rarely(3);
  const [r, labels] = [choices.between(1, 3), choices.between(2, 4)];
  const linears = architecture.linears(pooling);
  const layers = [choices.pick(linears), ...linears.filter(() => choices.rarely(3))];
  const shapes = new Map<string, readonly number[]>();
  for (const { name, inFeatures, outFeatures } of layers) {
    shapes.set(loraTensorName(name, 'A'), [r, inFeatures]);
    shapes.set(loraTensorName(name, 'B'), [choices.fault(20) ? outFeatures + 1 : outFeatures, r]);
    if (dora) shapes.set(magnitudeTensorName(name), [outFeatures]);
  }
  for (const { name, inFeatures, outFeatures } of architecture.head.layers) {
    const rows = outFeatures === 'labels' ? labels : outFeatures;
    shapes.set(classifierTensorName('weight', name), [rows, inFeatures]);
    shapes.set(classifierTensorName('bias', name), [rows]);
  }
  const pattern = choices.rarely(4)
    ? { [choices.usually(['query', '.*', 'layer.0', '[z-a]', '(a+)+$', ''])]: choices.usually([r, 300, 0]) }
    : {};
  const config = {
    peft_type: 'LORA',
    task_type: 'SEQ_CLS',
    r,
    lora_alpha: choices.usually([8, 1e-9, 1e6, 1e300]),
    rank_pattern: pattern,
    alpha_pattern: choices.rarely(4) ? pattern : {},
    use_rslora: choices.rarely(4),
    use_dora: dora,
    bias: 'none',
    lora_dropout: 0.1,
    target_modules: ['query'],
    base_model_name_or_path: id,
  };
  const metadata = choices.pick([undefined, { format: 'pt' }]);
  const labelsText = jsonText(
    Array.from({ length: labels }, (_, i) => `label ${i}`),
    choices,
  );
  const length = String(choices.usually([32, 16, 8, 512, 7, Number.NaN]));
  return {
    config: choices.note('config', corrupted(encoder.encode(jsonText(config, choices)), choices)),
    weights: choices.note(
      'weights',
      safetensorsBytes(shapes, metadata, choices, choices.pick(['F32', 'F16', 'BF16'])),
    ),
    fields: choices.note('fields', [
      ['name', 'spam'],
      ['labels', labelsText],
      ['pooling', pooling],
      ['max_length', length],
      ['base_precision', choices.usually(['fp32', 'int8', 'nf4'])],
    ] as const),
  };
}
