import type { Choices } from '../choices.ts';
import { corrupted, joined } from './bytes.ts';
import { jsonText } from './json.ts';

const DTYPES = ['F32', 'F16', 'BF16', 'F64', 'I64', 'I8', 'U8', 'BOOL', 'F8_E4M3'] as const;
const BYTES: Readonly<Record<string, number>> = { F32: 4, F64: 8, I64: 8, I8: 1, U8: 1, BOOL: 1, F8_E4M3: 1 };
/** Possible first 4 bytes of a tensor: 1, NaN, infinities, the largest, the smallest, and minus 0. */
const VALUES = [
  0x3f800000, 0x7fc00000, 0x7f800000, 0xff800000, 0x7f7fffff, 0x00000001, 0x80000000, 0xff7fffff,
];
const LENGTHS = [0n, 1n, 7n, 8n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** A safetensors file of these tensors. Its header may lie about types, shapes, offsets and its own length; mostly it does not. */
export function safetensorsBytes(
  shapes: ReadonlyMap<string, readonly number[]>,
  metadata: unknown,
  choices: Choices,
  dtype: string = choices.usually(DTYPES),
): Uint8Array {
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata };
  const entries: Entry[] = [];
  let end = 0;
  for (const [name, shape] of shapes) {
    const begin = end;
    end += shape.reduce((product, size) => product * size, BYTES[dtype] ?? 2);
    const entry: Entry = { dtype, shape: [...shape], data_offsets: [begin, end] };
    entries.push(entry);
    header[name] = entry;
  }
  if (entries.length > 0 && choices.fault(3)) lie(choices.pick(entries), choices);
  const json = new TextEncoder().encode(jsonText(header, choices));
  const prefix = new Uint8Array(8);
  const length = choices.fault(8)
    ? choices.pick(LENGTHS)
    : BigInt(json.byteLength + choices.usually([0, 1, -1]));
  new DataView(prefix.buffer).setBigUint64(0, BigInt.asUintN(64, length), true);
  return corrupted(joined(prefix, json, dataOf(end, choices)), choices);
}

function lie(entry: Entry, choices: Choices): void {
  const [begin, end] = entry.data_offsets;
  const kind = choices.below(6);
  if (kind === 0) entry.dtype = choices.pick(DTYPES);
  else if (kind === 1) entry.shape.push(1);
  else if (kind === 2) entry.shape[0] = choices.pick([0, 1, 2 ** 32, 2 ** 53 - 1, entry.shape[0]! + 1]);
  else if (kind === 3) entry.shape = [entry.shape.reduce((product, size) => product * size, 1)];
  else
    entry.data_offsets = choices.pick([
      [begin + 4, end + 4],
      [end, begin],
      [0, end],
      [begin, begin],
      [begin, 2 ** 53 - 1],
    ]);
}

/** Numbers near 0, with a special value here and there. */
function dataOf(bytes: number, choices: Choices): Uint8Array {
  const data = new Uint8Array(bytes);
  for (let i = 3; i < bytes; i += 4) data[i] = 0x3c;
  const view = new DataView(data.buffer);
  while (bytes >= 4 && choices.fault(4)) {
    view.setUint32(4 * choices.below(bytes >> 2), choices.pick(VALUES), true);
  }
  return data;
}
