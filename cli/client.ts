import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { problemBody } from '../shared/api/common.ts';
import { collectBytes } from '../shared/bytes.ts';
import { type Connection, isLoopback } from './connection.ts';
import { Failure } from './failure.ts';
import { nextAfter } from './next-commands.ts';
import { waitAfter } from './retry.ts';

/** Bytes of an answer that is read whole; the longest there is, a confusion matrix of 1,000 labels, has a tenth. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Milliseconds for an answer to arrive whole, where it is small. */
const ANSWER_MS = 120_000;

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** The path below the address, its parts encoded. */
  path: string;
  query?: Readonly<Record<string, string | undefined>>;
  json?: unknown;
  /** A multipart body; its files are read while they are sent. */
  form?: FormData;
  headers?: Readonly<Record<string, string>>;
  /** True if sending it twice does no more than sending it once, so it may be tried again. A GET always is. */
  isSafe?: boolean;
}

/** A JSON answer: as the server sent it, for programs, and as the schema has it, for people. */
export interface Answer<T> {
  raw: unknown;
  value: T;
}

/** Calls the public API. Errors are `Failure`s; those that pass are retried where that is safe. */
export class Client {
  readonly url: string;
  readonly #key: string;
  readonly #signal: AbortSignal;

  constructor({ url, key }: Connection, signal: AbortSignal) {
    this.url = url;
    this.#key = key;
    this.#signal = signal;
  }

  /** @throws {Failure} where the call fails, or its answer is not of the schema */
  async call<S extends z.ZodType>(schema: S, call: Call): Promise<Answer<z.infer<S>>> {
    const isLarge = call.form !== undefined;
    return this.#retrying(call, async () => {
      const response = await this.#send(call, isLarge ? undefined : AbortSignal.timeout(ANSWER_MS));
      const raw = await this.#json(response, call);
      const parsed = schema.safeParse(raw);
      if (parsed.success) return { raw, value: parsed.data };
      const [issue] = parsed.error.issues;
      throw unexpected(call, response.status, `${issue!.path.join('.') || 'it'}: ${issue!.message}`);
    });
  }

  /** The body of a successful answer, to be read as it comes. */
  async download(call: Call): Promise<AsyncIterable<Uint8Array>> {
    const { body } = await this.#retrying(call, () => this.#send(call, undefined));
    return chunksOf(body, (error) => this.#connectionFailure(error));
  }

  async #retrying<T>(call: Call, attempt: () => Promise<T>): Promise<T> {
    const isSafe = call.isSafe ?? call.method === 'GET';
    for (let number = 1; ; number++) {
      try {
        return await attempt();
      } catch (error) {
        const failure = error instanceof Failure ? error : this.#connectionFailure(error);
        const wait = isSafe ? waitAfter(failure, number) : undefined;
        if (wait === undefined) throw failure;
        await sleep(wait, undefined, { signal: this.#signal }).catch((cause) => {
          throw this.#connectionFailure(cause);
        });
      }
    }
  }

  async #send(call: Call, timeout: AbortSignal | undefined): Promise<Response> {
    const url = new URL(this.url + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    const headers = {
      authorization: `Bearer ${this.#key}`,
      ...(call.json !== undefined && { 'content-type': 'application/json' }),
      ...call.headers,
    };
    const response = await fetch(url, {
      method: call.method,
      headers,
      body: call.form ?? (call.json === undefined ? null : JSON.stringify(call.json)),
      // The key is for this address alone.
      redirect: 'manual',
      signal: timeout ? AbortSignal.any([timeout, this.#signal]) : this.#signal,
    });
    if (response.ok) return response;
    throw await this.#refusal(response, call);
  }

  async #json(response: Response, call: Call): Promise<unknown> {
    const text = await this.#text(response, call);
    try {
      return JSON.parse(text);
    } catch {
      throw unexpected(call, response.status, 'it is not JSON');
    }
  }

  async #text(response: Response, call: Call): Promise<string> {
    const chunks = chunksOf(response.body, (error) => this.#connectionFailure(error));
    const tooLarge = () => unexpected(call, response.status, `it has more than ${MAX_ANSWER_BYTES} bytes`);
    return new TextDecoder().decode(await collectBytes(chunks, MAX_ANSWER_BYTES, tooLarge));
  }

  async #refusal(response: Response, call: Call): Promise<Failure> {
    const text = await this.#text(response, call);
    const { status, headers } = response;
    const mayPass = (status === 429 || status >= 500) && headers.get('x-should-retry') !== 'false';
    const exit = mayPass ? 'transient' : 'failed';
    const retryAfter = secondsOf(headers.get('retry-after'));
    const problem = problemBody.safeParse(parseOr(text, undefined));
    if (!problem.success) {
      const message = `${this.url} answered ${status} to ${call.method} ${call.path}, and not in Weft's words: is it the right address?`;
      return new Failure(exit, 'unexpected_answer', message, { status, retryAfter, next: ['weft login'] });
    }
    const { error, errors, total_errors } = problem.data;
    return new Failure(exit, error.code, error.message, {
      status,
      param: error.param,
      errors,
      totalErrors: total_errors,
      retryAfter,
      next: nextAfter(error.code),
    });
  }

  #connectionFailure(error: unknown): Failure {
    if (error instanceof Failure) return error;
    if (this.#signal.aborted)
      return new Failure('interrupted', 'interrupted', 'Interrupted.', { cause: error });
    const next = isLoopback(this.url) ? ['weft up'] : [];
    const message = `${this.url} cannot be reached (${reasonOf(error)})`;
    return new Failure('transient', 'connection_failed', message, { next, cause: error });
  }
}

function unexpected(call: Call, status: number, what: string): Failure {
  const message = `The answer to ${call.method} ${call.path} is not as expected; ${what}. Is this command line older than the server?`;
  return new Failure('failed', 'unexpected_answer', message, { status });
}

/** A short reason, e.g. `ECONNREFUSED`: fetch hides it in the cause. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined) : undefined;
  return typeof cause?.code === 'string' ? cause.code : 'the connection broke off';
}

async function* chunksOf(
  body: Response['body'],
  failureOf: (error: unknown) => Failure,
): AsyncGenerator<Uint8Array> {
  try {
    if (body) yield* body;
  } catch (error) {
    throw failureOf(error);
  }
}

/** Reads `Retry-After` in either of its forms: seconds, or a date. */
function secondsOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, (at - Date.now()) / 1000);
}

function parseOr(text: string, otherwise: unknown): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return otherwise;
  }
}
