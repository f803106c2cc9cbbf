import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArchitecture } from '../gpu-node/models/index.ts';
import { Random } from '../gpu-node/random.ts';

/** Sizes of a BERT, under their names in its config.json. */
export interface BertShape {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
}

/** Writes a Hugging Face folder of random weights, without a tokenizer. Each tensor repeats one random megabyte. */
export async function writeRandomModel(folder: string, shape: BertShape): Promise<void> {
  const config = {
    model_type: 'bert',
    ...shape,
    max_position_embeddings: 512,
    type_vocab_size: 2,
    hidden_act: 'gelu',
    layer_norm_eps: 1e-12,
  };
  const { weights } = parseArchitecture(config, folder);
  const random = new Random(1, 'weights');
  const elements = Float32Array.from({ length: 2 ** 18 }, () => 0.03 * random.normal());
  const header: Record<string, object> = {};
  let end = 0;
  for (const { name, shape } of weights) {
    const begin = end;
    end += 4 * shape.reduce((count, size) => count * size, 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, end] };
  }
  const head = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(head.length));
  await mkdir(folder, { recursive: true });
  const file = await open(join(folder, 'model.safetensors'), 'w');
  await file.writeFile(Buffer.concat([size, head]));
  const bytes = new Uint8Array(elements.buffer);
  for (let left = end; left > 0; left -= bytes.length) await file.writeFile(bytes.subarray(0, left));
  await file.close();
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
}
