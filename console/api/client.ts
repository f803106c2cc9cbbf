import type { ProblemBody } from './types.ts';

/** Why a call failed: the API's problem, or that there was no answer. */
export class ApiError extends Error {
  /** 0 where there was no answer. */
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
  /** The first bad lines of a file, and how many there are. */
  readonly lines: readonly { line: number; message: string }[];
  readonly totalLines: number;
  readonly requestId: string | undefined;

  constructor(status: number, message: string, body?: ProblemBody) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = body?.error.code ?? (status === 0 ? 'no_answer' : 'unreadable_answer');
    this.param = body?.error.param ?? null;
    this.lines = body?.errors ?? [];
    this.totalLines = body?.total_errors ?? this.lines.length;
    this.requestId = body?.request_id;
  }
}

export interface CallOptions {
  key: string;
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Sent as JSON. */
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/**
 * Sends one request to the public API; the key travels in a header alone.
 * @throws {ApiError} for every answer that is not a success, and for none
 */
export async function send(path: string, options: CallOptions): Promise<Response> {
  const { key, json, signal } = options;
  const headers = new Headers({ ...options.headers, authorization: `Bearer ${key}` });
  if (json !== undefined) headers.set('content-type', 'application/json');
  const body = json === undefined ? options.body : JSON.stringify(json);
  const response = await fetch(path, {
    method: options.method ?? 'GET',
    headers,
    ...(body !== undefined && { body }),
    ...(signal && { signal }),
  }).catch((cause) => {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, 'The edge does not answer.');
  });
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => undefined)) as ProblemBody | undefined;
  const message = body?.error?.message ?? `The edge answered ${response.status}.`;
  return new ApiError(response.status, message, body?.error && body);
}
