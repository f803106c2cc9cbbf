import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { requestBytes } from '../../../../edge/upload/request-bytes.ts';
import { BODY_IDLE_MS } from '../../../../shared/api/common.ts';
import { collectBytes } from '../../../../shared/bytes.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const tooLarge = () => new Error('too large');

/** A request whose body comes as it is put. */
function slowRequest() {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start: (given) => {
      controller = given;
    },
  });
  const request = new Request('https://edge.test', { method: 'POST', body, duplex: 'half' } as RequestInit);
  return {
    put: (byte: number) => controller.enqueue(Uint8Array.of(byte)),
    end: () => controller.close(),
    request,
  };
}

describe("a request's body", () => {
  it('is given up where nothing of it comes for a while', async () => {
    const { put, request } = slowRequest();
    put(1);
    const read = collectBytes(requestBytes(request), 10, tooLarge);
    const refused = expect(read).rejects.toMatchObject({ code: 'malformed_body' });
    await vi.advanceTimersByTimeAsync(BODY_IDLE_MS);
    await refused;
  });

  it('may take as long as it likes while something comes', async () => {
    const { put, end, request } = slowRequest();
    const read = collectBytes(requestBytes(request), 10, tooLarge);
    for (let byte = 0; byte < 4; byte++) {
      await vi.advanceTimersByTimeAsync(0.9 * BODY_IDLE_MS);
      put(byte);
    }
    await vi.advanceTimersByTimeAsync(0.9 * BODY_IDLE_MS);
    end();
    expect([...(await read)]).toEqual([0, 1, 2, 3]);
  });
});
