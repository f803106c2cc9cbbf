/** A part of a hand-made multipart body: a field's value, or a file with its name. */
export interface TestPart {
  name: string;
  filename?: string;
  content: string | Uint8Array;
}

export const BOUNDARY = '----WeftTestBoundary7MA4YWxk';
export const CONTENT_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

const encoder = new TextEncoder();

/** The bytes of a multipart/form-data body as browsers write it. */
export function multipartBody(parts: readonly TestPart[]): Uint8Array {
  const pieces = parts.flatMap(({ name, filename, content }) => [
    encoder.encode(partHeader(name, filename)),
    typeof content === 'string' ? encoder.encode(content) : content,
    encoder.encode('\r\n'),
  ]);
  return concat([...pieces, encoder.encode(`--${BOUNDARY}--\r\n`)]);
}

export function partHeader(name: string, filename?: string): string {
  const file =
    filename === undefined ? '' : `; filename="${filename}"\r\nContent-Type: application/octet-stream`;
  return `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`;
}

export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

/** Cuts bytes into chunks of the lengths that `nextLength` gives. */
export async function* cut(bytes: Uint8Array, nextLength: () => number): AsyncGenerator<Uint8Array> {
  let at = 0;
  while (at < bytes.byteLength) {
    const length = Math.max(1, nextLength());
    yield bytes.slice(at, at + length);
    at += length;
  }
}
