import type { Classification, ClassifyResponse } from './types.ts';

/** Most texts of a request, and most bytes of its body: the API's bounds, with room for what stands around the texts. */
const MAX_TEXTS = 128;
const MAX_BYTES = 600_000;
/** Characters of a text that are sent: no adapter reads more than 512 tokens. */
const MAX_CHARACTERS = 20_000;

export interface Question {
  readonly model: string;
  readonly text: string;
}

/** Milliseconds by stage, in the order of `Server-Timing`. */
export type Timing = readonly (readonly [stage: string, ms: number])[];

export interface Answer {
  readonly data: Classification[];
  readonly timing: Timing;
  readonly tokens: number;
}

type Call = (
  path: string,
  options: { method: 'POST'; json: unknown; signal?: AbortSignal },
) => Promise<Response>;

/** Asks all at once: one request, one batch. */
export async function classify(
  call: Call,
  input: readonly Question[],
  signal?: AbortSignal,
): Promise<Answer> {
  const json = { input: input.map(({ model, text }) => ({ model, text: text.slice(0, MAX_CHARACTERS) })) };
  const response = await call('/v1/classify', { method: 'POST', json, ...(signal && { signal }) });
  const { data, usage } = (await response.json()) as ClassifyResponse;
  return { data, timing: timingOf(response.headers.get('server-timing') ?? ''), tokens: usage.total_tokens };
}

export function timingOf(header: string): Timing {
  return header
    .split(',')
    .map((part) => /^\s*(\w+);dur=([\d.]+)/.exec(part))
    .filter((match) => match !== null)
    .map((match) => [match[1]!, Number(match[2])] as const);
}

/** Parts of a list that each fit a request, in order. */
export function* inRequests<T extends { readonly text: string }>(rows: readonly T[]): Generator<T[]> {
  let part: T[] = [];
  let bytes = 0;
  for (const row of rows) {
    // A character is at most three bytes of UTF-8, or six once JSON has escaped it.
    const size = 6 * Math.min(row.text.length, MAX_CHARACTERS);
    if (part.length === MAX_TEXTS || (part.length > 0 && bytes + size > MAX_BYTES)) {
      yield part;
      [part, bytes] = [[], 0];
    }
    part.push(row);
    bytes += size;
  }
  if (part.length > 0) yield part;
}
