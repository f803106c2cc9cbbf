import { join } from 'node:path';
import { describeForServing, parseImport } from '../../edge/adapters/import-request.ts';
import type { ImportBase } from '../../edge/base-models.ts';
import { receiveAdapter } from '../../edge/upload/receive-adapter.ts';
import { adapterBase } from '../../gpu-node/models/adapter-base.ts';
import { type BaseModelOutline, outlineBaseModel } from '../../gpu-node/models/open-base-model.ts';
import { readAdapterFiles } from '../../gpu-node/weights/adapter-file.ts';
import { readMetrics } from '../../shared/adapter-check.ts';
import { type BundleFile, LAYOUTS, WEFT_FILE } from '../../shared/adapter-format.ts';
import { joinBytes } from '../../shared/bytes.ts';
import { formatOf } from '../../shared/methods/index.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import { BOUNDARY, multipartBody, type TestPart } from '../../test/support/multipart-body.ts';
import { METHODS } from './adapter-methods.ts';
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
    const { files, beside } = adapterOf(base, choices);
    const parts = [...files].map(([name, content]) => ({ name, filename: name, content }));
    const body = multipartBody([...beside, ...parts]);
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
    for (const [name, bytes] of stored) {
      expectEqual(bytes, files.get(name), `the ${name} that was sent and the one that is stored`);
    }
    const all = Object.fromEntries([...files, [WEFT_FILE, weft]]);
    const served = await outcomeOf(() => readAdapterFiles(all, importBase(base), 'the adapter'));
    expect(
      'value' in served,
      `the edge takes what a node refuses: ${'refused' in served && served.refused.message}`,
    );
  };
}

/** Imports a form as the edge does, and returns what it stores: the files of tensors as they arrive, and weft.json. */
function importOf(body: AsyncIterable<Uint8Array>, base: Base) {
  return outcomeOf(async () => {
    const chunks = new Map<BundleFile, Uint8Array[]>();
    const sinkOf = (file: BundleFile) => {
      chunks.set(file, []);
      return { write: async (bytes: Uint8Array) => void chunks.get(file)!.push(bytes.slice()) };
    };
    const received = await receiveAdapter(body, BOUNDARY, sinkOf);
    const weft = describeForServing(parseImport(received), importBase(base));
    readMetrics(weft, 'the import');
    return {
      stored: [...chunks].map(([file, bytes]) => [file, joinBytes(bytes)] as const),
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

function adapterOf(base: Base, choices: Choices) {
  const { id, outline } = base;
  const pooling = choices.pick(['mean', 'cls'] as const);
  const labels = Array.from({ length: choices.between(2, 4) }, (_, i) => `label ${i}`);
  const { type, tensors, configs } = choices.pick(METHODS)({ id, pooling, ...outline }, choices);
  const { layout, fileName } = formatOf(type);
  const head = outline.architecture.head.layers.flatMap(
    ({ name, inFeatures, outFeatures }): [string, number[]][] => {
      const rows = outFeatures === 'labels' ? labels.length : outFeatures;
      return [
        [fileName(`${name}.weight`), [rows, inFeatures]],
        [fileName(`${name}.bias`), [rows]],
      ];
    },
  );
  const metadata = choices.pick([undefined, { format: 'pt' }]);
  const dtype = choices.pick(['F32', 'F16', 'BF16']);
  const shapes = new Map<BundleFile, [string, number[]][]>([[LAYOUTS[layout].weights, tensors]]);
  shapes.set(LAYOUTS[layout].head, [...(shapes.get(LAYOUTS[layout].head) ?? []), ...head]);
  const files = new Map<BundleFile, Uint8Array>();
  for (const [file, config] of configs) {
    files.set(file, choices.note(file, corrupted(encoder.encode(jsonText(config, choices)), choices)));
  }
  for (const [file, own] of shapes) {
    files.set(file, choices.note(file, safetensorsBytes(new Map(own), metadata, choices, dtype)));
  }
  return { files, beside: choices.note('beside', besideOf(id, labels, pooling, choices)) };
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
