import { describe, expect, it } from 'vitest';
import { boundaryOf, readBytes, readField, readParts } from '../../../../edge/upload/multipart.ts';
import { requestBytes } from '../../../../edge/upload/request-bytes.ts';
import { Random } from '../../../../gpu-node/random.ts';
import {
  BOUNDARY,
  CONTENT_TYPE,
  cut,
  multipartBody,
  type TestPart,
} from '../../../support/multipart-body.ts';

const MiB = 1024 * 1024;
const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function streamOf(bytes: Uint8Array, nextLength: () => number = () => 65536): ReadableStream<Uint8Array> {
  return ReadableStream.from(cut(bytes, nextLength));
}

async function readAll(body: ReadableStream<Uint8Array>): Promise<TestPart[]> {
  const parts: TestPart[] = [];
  for await (const part of readParts(body, BOUNDARY, MiB)) {
    const content = decode(await readBytes(part, MiB));
    parts.push({ name: part.name, ...(part.filename !== undefined && { filename: part.filename }), content });
  }
  return parts;
}

const failureOf = (body: string | Uint8Array) =>
  readAll(streamOf(typeof body === 'string' ? encode(body) : body)).catch((error) => error);

describe('readParts', () => {
  const parts: TestPart[] = [
    { name: 'purpose', content: 'fine-tune' },
    {
      name: 'file',
      filename: 'a.csv',
      content: `text,label\r\n--\r\n--${BOUNDARY.slice(0, -1)}\r\n\r\r\n\r\n-x\n\r`,
    },
    { name: 'empty', content: '' },
  ];

  it('finds the same parts however the network cuts the bytes', async () => {
    const body = multipartBody(parts);
    const random = new Random(1, 'cuts');
    for (let round = 0; round < 300; round++) {
      const longest = 1 + (round % 40);
      const nextLength = () => 1 + Math.floor(random.uniform() * longest);
      expect(await readAll(streamOf(body, nextLength))).toEqual(parts);
    }
    expect(await readAll(streamOf(body, () => 1))).toEqual(parts);
  });

  it('skips what its caller leaves unread', async () => {
    const names: string[] = [];
    for await (const part of readParts(
      streamOf(multipartBody(parts), () => 7),
      BOUNDARY,
      MiB,
    )) {
      names.push(part.name);
      for await (const _ of part.body) break;
    }
    expect(names).toEqual(['purpose', 'file', 'empty']);
  });

  it('ignores a preamble and an epilogue', async () => {
    const body = `preamble\r\n${decode(multipartBody(parts))}epilogue`;
    expect(await readAll(streamOf(encode(body), () => 3))).toEqual(parts);
  });

  it('hands on a part before the body has ended', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const whole = multipartBody([{ name: 'file', filename: 'a', content: 'x'.repeat(100_000) }]);
    const body = ReadableStream.from(
      (async function* () {
        yield whole.slice(0, 50_000);
        await held;
        yield whole.slice(50_000);
      })(),
    );
    for await (const part of readParts(body, BOUNDARY, MiB)) {
      const chunks = part.body[Symbol.asyncIterator]();
      expect((await chunks.next()).value.byteLength).toBeGreaterThan(49_000);
      release();
    }
  });

  it.each([
    ['without any delimiter', 'hello'],
    ['cut in a header', decode(multipartBody(parts)).slice(0, 60)],
    ['cut in a part', decode(multipartBody(parts)).slice(0, -40)],
    ['cut in the closing delimiter', decode(multipartBody(parts)).slice(0, -3)],
    [
      'with a longer boundary that begins like it',
      decode(multipartBody(parts)).replaceAll(BOUNDARY, `${BOUNDARY}x`),
    ],
    ['with a part without headers', `--${BOUNDARY}\r\n\r\nx\r\n--${BOUNDARY}--`],
    [
      'with a part without a name',
      `--${BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n--${BOUNDARY}--`,
    ],
    ['with a header of 9 KB', `--${BOUNDARY}\r\nX: ${'y'.repeat(9000)}\r\n\r\nx\r\n--${BOUNDARY}--`],
    ['with 17 parts', multipartBody(Array.from({ length: 17 }, () => ({ name: 'a', content: '' })))],
  ])('refuses a body %s', async (_, body) => {
    expect(await failureOf(body)).toMatchObject({ code: 'malformed_body' });
  });

  it('stops at the body’s limit and cancels the rest', async () => {
    let isCancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(65536)),
      cancel: () => {
        isCancelled = true;
      },
    });
    expect(await readAll(endless).catch((error) => error)).toMatchObject({ code: 'payload_too_large' });
    expect(isCancelled).toBe(true);
  });

  it('says that a client broke its body off', async () => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error('connection lost')) });
    const request = new Request('http://localhost/', { method: 'POST', body, duplex: 'half' });
    const error = await requestBytes(request)
      .next()
      .catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'malformed_body', message: 'The body broke off.' });
  });

  it('bounds a field, and names it', async () => {
    const read = async () => {
      for await (const part of readParts(streamOf(multipartBody(parts)), BOUNDARY, MiB))
        await readField(part, 8);
    };
    await expect(read()).rejects.toMatchObject({ code: 'payload_too_large', param: 'purpose' });
  });

  it('reads the body that fetch makes of FormData, names in any script included', async () => {
    const form = new FormData();
    form.set('file', new File(['text,label\n'], 'données "α" 数据.csv'));
    form.set('purpose', 'fine-tune');
    const request = new Request('http://localhost/', { method: 'POST', body: form });
    const boundary = boundaryOf(request.headers.get('content-type'));
    const seen: unknown[] = [];
    for await (const part of readParts(requestBytes(request), boundary, MiB)) {
      seen.push([part.name, part.filename, decode(await readBytes(part, MiB))]);
    }
    expect(seen).toEqual([
      ['file', 'données "α" 数据.csv', 'text,label\n'],
      ['purpose', undefined, 'fine-tune'],
    ]);
  });
});

describe('boundaryOf', () => {
  it('takes a boundary with and without quotes', () => {
    expect(boundaryOf(CONTENT_TYPE)).toBe(BOUNDARY);
    expect(boundaryOf('Multipart/Form-Data; charset=utf-8; boundary="a b"')).toBe('a b');
  });

  it.each([null, '', 'application/json', 'multipart/form-datax; boundary=a'])(
    'refuses the type %j',
    (type) => {
      expect(() => boundaryOf(type)).toThrow(expect.objectContaining({ code: 'unsupported_media_type' }));
    },
  );

  it.each(['multipart/form-data', `multipart/form-data; boundary=${'x'.repeat(71)}`])(
    'refuses %s',
    (type) => {
      expect(() => boundaryOf(type)).toThrow(expect.objectContaining({ code: 'malformed_body' }));
    },
  );
});
