import { describe, expect, it } from 'vitest';
import { type PartTarget, PartWriter } from '../../../../edge/objects/part-writer.ts';

const PART = 1000;

/** Records what a store would be sent. */
function recorder() {
  const log = {
    puts: [] as Uint8Array[],
    parts: [] as Uint8Array[],
    completed: 0,
    aborted: 0,
    inFlight: 0,
    most: 0,
  };
  const target: PartTarget = {
    put: async (bytes) => {
      log.puts.push(bytes.slice());
    },
    begin: async () => ({
      uploadPart: async (partNumber, bytes) => {
        log.most = Math.max(log.most, ++log.inFlight);
        await Promise.resolve();
        log.parts.push(bytes.slice());
        log.inFlight -= 1;
        return { partNumber, etag: `etag-${partNumber}` };
      },
      complete: async (parts) => {
        expect(parts.map((part) => part.partNumber)).toEqual(log.parts.map((_, index) => index + 1));
        log.completed += 1;
      },
      abort: async () => {
        log.aborted += 1;
      },
    }),
  };
  return { log, target };
}

async function writeAll(writer: PartWriter, total: number, chunkBytes: number): Promise<void> {
  for (let at = 0; at < total; at += chunkBytes) {
    const length = Math.min(chunkBytes, total - at);
    await writer.write(Uint8Array.from({ length }, (_, index) => (at + index) % 251));
  }
}

describe('PartWriter', () => {
  it.each([0, 1, 999, 1000])('puts %i bytes, which fit one buffer, at once', async (total) => {
    const { log, target } = recorder();
    const writer = new PartWriter(target, PART);
    await writeAll(writer, total, 64);
    await writer.finish();
    expect(log.puts.map((bytes) => bytes.byteLength)).toEqual([total]);
    expect(log.parts).toEqual([]);
  });

  it.each([
    [1001, 64],
    [5000, 1000],
    [5000, 7777],
    [4321, 1],
  ])('sends %i bytes in chunks of %i as equal parts, one at a time', async (total, chunkBytes) => {
    const { log, target } = recorder();
    const writer = new PartWriter(target, PART);
    await writeAll(writer, total, chunkBytes);
    await writer.finish();
    const lengths = log.parts.map((part) => part.byteLength);
    expect(lengths.slice(0, -1).every((length) => length === PART)).toBe(true);
    expect(lengths.at(-1)).toBeGreaterThan(0);
    expect(writer.bytes).toBe(total);
    expect(Buffer.concat(log.parts)).toEqual(Buffer.from(Array.from({ length: total }, (_, at) => at % 251)));
    expect([log.most, log.completed, log.aborted, log.puts.length]).toEqual([1, 1, 0, 0]);
  });

  it('fills one buffer again and again, whatever the size of the upload', async () => {
    const buffers = new Set<ArrayBufferLike>();
    const writer = new PartWriter(
      {
        put: async () => {},
        begin: async () => ({
          uploadPart: async (partNumber, bytes) => {
            buffers.add(bytes.buffer);
            return { partNumber, etag: '' };
          },
          complete: async () => {},
          abort: async () => {},
        }),
      },
      PART,
    );
    await writeAll(writer, 100_000, 333);
    await writer.finish();
    expect([...buffers].map((buffer) => buffer.byteLength)).toEqual([PART]);
  });

  it('aborts what it began, and nothing where it began nothing', async () => {
    for (const [total, aborted] of [
      [2500, 1],
      [500, 0],
    ] as const) {
      const { log, target } = recorder();
      const writer = new PartWriter(target, PART);
      await writeAll(writer, total, 100);
      await writer.abort();
      expect([log.aborted, log.completed, log.puts.length]).toEqual([aborted, 0, 0]);
    }
  });
});
