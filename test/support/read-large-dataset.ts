import { join } from 'node:path';
import { lengthBatches } from '../../gpu-node/data/batches.ts';
import { StoredExamples } from '../../gpu-node/data/examples.ts';
import { TokenFile } from '../../gpu-node/data/token-file.ts';
import { tokenizeDataset } from '../../gpu-node/data/tokenized-dataset.ts';
import { loadTokenizer } from '../../gpu-node/data/tokenizer.ts';
import { Random } from '../../gpu-node/random.ts';
import { TINY_BERT } from './tiny-bert.ts';

/*
 * Reads `dataset.jsonl` of a folder as a training job does, then an epoch of it batch by batch, and writes what it counted as
 * JSON to stdout. To be run with `--expose-gc`.
 */
const folder = process.argv[2]!;
const tokenizer = await loadTokenizer(TINY_BERT);
const tokens = new TokenFile(join(folder, 'tokens'));
const { signal } = new AbortController();
const options = { tokenizer, maxLength: 64, tokens, signal };
const dataset = await tokenizeDataset(join(folder, 'dataset.jsonl'), options);
const rows = Uint32Array.from(dataset.labels.keys());
const labels = dataset.labelNames;
const examples = new StoredExamples({
  dataset,
  rows,
  tokens,
  labels,
  placeholders: 0,
  maxLength: 64,
  suffix: tokenizer.suffix,
});
let [trained, ids] = [0, 0];
for (const batch of lengthBatches(examples.lengths, 32, new Random(1, 'order'))) {
  for (const example of examples.read(batch)) {
    trained++;
    ids += example.ids.length;
  }
}
// What is held, not what the collector has not come to yet: a second collection waits until the first one's buffers are freed.
globalThis.gc!();
globalThis.gc!();
const { arrayBuffers } = process.memoryUsage();
console.log(JSON.stringify({ trained, ids, stored: tokens.length, arrayBuffers }));
