import { MAX_CLASSIFY_BYTES, MAX_INPUTS } from '../shared/api/inference.ts';
import type { TextRow } from './text-rows.ts';

/** Bytes of a request around its texts. */
const AROUND_BYTES = 1024;
const encoder = new TextEncoder();

/** Groups rows into requests of the sizes that the API takes. A text too long for any request stands alone, for the server to refuse. */
export async function* inBatches(rows: AsyncIterable<TextRow>): AsyncGenerator<TextRow[]> {
  let batch: TextRow[] = [];
  let bytes = AROUND_BYTES;
  for await (const row of rows) {
    const size = encoder.encode(JSON.stringify(row.text)).byteLength + 1;
    if (batch.length === MAX_INPUTS || (batch.length > 0 && bytes + size > MAX_CLASSIFY_BYTES)) {
      yield batch;
      [batch, bytes] = [[], AROUND_BYTES];
    }
    batch.push(row);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
