/** transformers.js's side of the batch benchmarks: reads a setup line, then a batch a line; answers each with its time and logits. */
import { createInterface } from 'node:readline';
import type { BatchRow } from '../serve/batch-runner.ts';
import { openTransformersJs, type TransformersJsSetup } from './transformers-js.ts';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const library = await openTransformersJs(JSON.parse((await lines.next()).value ?? '') as TransformersJsSetup);
answer({ versions: library.versions });
for await (const line of { [Symbol.asyncIterator]: () => lines }) {
  const rows = JSON.parse(line) as BatchRow[];
  const start = performance.now();
  const logits = await library.run(inputsOf(rows));
  answer({ ms: performance.now() - start, logits });
}
process.exit();

/** Model inputs from rows of token ids, padded to the longest. */
function inputsOf(rows: readonly BatchRow[]) {
  const length = Math.max(...rows.map(({ ids }) => ids.length));
  const ids = new BigInt64Array(rows.length * length);
  const mask = new BigInt64Array(rows.length * length);
  for (const [row, { ids: ofRow }] of rows.entries()) {
    ids.set(ofRow.map(BigInt), row * length);
    mask.fill(1n, row * length, row * length + ofRow.length);
  }
  const dims = [rows.length, length];
  return {
    input_ids: library.tensor(ids, dims),
    attention_mask: library.tensor(mask, dims),
    token_type_ids: library.tensor(new BigInt64Array(ids.length), dims),
  };
}

function answer(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
