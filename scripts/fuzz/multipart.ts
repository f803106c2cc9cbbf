import { boundaryOf, readBytes, readParts } from '../../edge/upload/multipart.ts';
import type { Choices } from './choices.ts';
import { chunksOf, corrupted, joined, whole } from './grammar/bytes.ts';
import { anyText } from './grammar/text.ts';
import { expectEqual, type Outcome, outcomeOf } from './oracle.ts';
import type { Check } from './target.ts';

const MAX_BODY_BYTES = 64_000_000;
const MAX_PART_BYTES = 2_000_000;
const BOUNDARIES = ['b', '----WebKitFormBoundary7MA4YWxk', '-', 'x'.repeat(70)];
const ODD_BOUNDARIES = ["'()+_,-./:=?", 'x'.repeat(71), '\r', 'é', '--'];
const NAMES: readonly [string, ...string[]] = [
  'file',
  'purpose',
  '',
  'a"b',
  'ü',
  '__proto__',
  'x'.repeat(9000),
  'a; filename=b',
  "utf-8''%ff",
];
const encoder = new TextEncoder();

/**
 * Fuzzes bodies of forms: the parts must not depend on how the network cuts the body, and an unbroken body gives the parts that were sent.
 */
export function multipart(): Check {
  return async (choices) => {
    const boundary = choices.usually([choices.pick(BOUNDARIES), ...ODD_BOUNDARIES]);
    const { body, contents } = bodyOf(boundary, choices);
    const bytes = choices.note('body', corrupted(body, choices));
    const type = choices.usually([
      `multipart/form-data; boundary="${boundary}"`,
      `multipart/form-data;boundary=${boundary}`,
      'multipart/form-data',
    ]);
    const known = await outcomeOf(() => boundaryOf(type));
    if ('refused' in known) return;
    const atOnce = await outcomeOf(() => read(whole(bytes), known.value, 'all'));
    expectEqual(
      await outcomeOf(() => read(chunksOf(bytes, choices), known.value, 'all')),
      atOnce,
      'a body in one chunk and in many',
    );
    if ('refused' in atOnce) return;
    // A reader skips the parts that it does not read.
    const passed = await outcomeOf(() => read(chunksOf(bytes, choices), known.value, 'none'));
    expectEqual(
      headers(passed),
      headers(atOnce),
      'the parts of a body that is read and of one that is passed over',
    );
    if (bytes === body && contents !== undefined) {
      expectEqual(
        atOnce.value.map(({ content }) => content),
        contents,
        'the parts that were sent and those that were read',
      );
    }
  };
}

interface ReadPart {
  name: string;
  filename: string | undefined;
  content: Uint8Array;
}

function headers(outcome: Outcome<ReadPart[]>) {
  return 'value' in outcome ? outcome.value.map(({ name, filename }) => ({ name, filename })) : outcome;
}

async function read(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  which: 'all' | 'none',
): Promise<ReadPart[]> {
  const found: ReadPart[] = [];
  for await (const part of readParts(body, boundary, MAX_BODY_BYTES)) {
    const content = which === 'all' ? (await readBytes(part, MAX_PART_BYTES)).slice() : new Uint8Array();
    found.push({ name: part.name, filename: part.filename, content });
  }
  return found;
}

/** A body, and the contents of its parts if none can be taken for the end of one. */
function bodyOf(
  boundary: string,
  choices: Choices,
): { body: Uint8Array; contents: Uint8Array[] | undefined } {
  const delimiter = encoder.encode(`\r\n--${boundary}`);
  const sent = choices.times(choices.usually([choices.pick([2, 1, 3]), 0, 17]), () =>
    contentOf(delimiter, choices),
  );
  const pieces = sent.flatMap((content) => [
    delimiter,
    encoder.encode(`\r\n${headersOf(choices)}\r\n\r\n`),
    content,
  ]);
  const prefix = choices.usually(['', 'a preamble', '\r\n', '--', '\r']);
  const end = encoder.encode(
    choices.usually([choices.pick(['--\r\n', '--', '--\r\nan epilogue']), '', '\r\n', '-']),
  );
  const body = joined(encoder.encode(prefix), ...pieces, delimiter, end);
  const isPlain = sent.every((content) => !Buffer.from(content).includes('\r'));
  return {
    body: prefix === '' ? body.subarray(2) : body,
    contents: isPlain && end[0] === 0x2d && end[1] === 0x2d ? sent : undefined,
  };
}

function headersOf(choices: Choices): string {
  const name = choices.usually(NAMES);
  const disposition = choices.usually([
    `form-data; name="${name}"`,
    `form-data; name=${name}`,
    `attachment; name="${name}"`,
    'form-data',
    '',
  ]);
  const filename = choices.pick([
    '',
    `; filename="${choices.usually(NAMES)}"`,
    `; filename*=${choices.usually(NAMES)}`,
    "; filename*=UTF-8''%e2%82%ac",
  ]);
  const more = choices.usually([
    '',
    '\r\nContent-Type: text/plain',
    '\r\nContent-Transfer-Encoding: base64',
    '\r\n folded',
    `\r\nX: ${'y'.repeat(9000)}`,
  ]);
  return `${choices.usually(['Content-Disposition', 'content-disposition', 'Content-Disposition '])}: ${disposition}${filename}${more}`;
}

/** Random text, and bytes that come near a delimiter. */
function contentOf(delimiter: Uint8Array, choices: Choices): Uint8Array {
  const kind = choices.below(5);
  if (kind === 0) return encoder.encode('content');
  if (kind === 1) return encoder.encode(anyText(choices, 4));
  if (kind === 2) return encoder.encode('\r\n'.repeat(choices.pick([1, 2, 1000])));
  if (kind === 3)
    return joined(
      ...choices.times(choices.between(1, 4), () =>
        delimiter.subarray(0, choices.below(delimiter.length + 1)),
      ),
    );
  return new Uint8Array(choices.pick([0, 1, 4096, 2_100_000]));
}
