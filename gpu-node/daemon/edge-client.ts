import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { z } from 'zod';
import { type BundleFile, MAX_FILE_BYTES } from '../../shared/adapter-format.ts';
import { problemBody } from '../../shared/api/common.ts';
import { MAX_DATASET_BYTES } from '../../shared/api/datasets.ts';
import {
  bundleManifestResponse,
  type CompleteJob,
  type FailJob,
  type Heartbeat,
  type HeartbeatResponse,
  heartbeatResponse,
  LEASE_TOKEN_HEADER,
  MAX_CHECKPOINT_BYTES,
  type RegisterNode,
  type RegisterNodeResponse,
  registerNodeResponse,
} from '../../shared/api/nodes.ts';
import {
  type CompleteTask,
  type FailTask,
  MAX_PART_BYTES,
  PART_ROWS_HEADER,
} from '../../shared/api/tasks.ts';
import { AppError, ERROR_STATUS, type ErrorCode } from '../../shared/errors.ts';
import { isDiskFull } from '../disk-full.ts';
import { type FileBody, withFileBody } from './file-body.ts';
import { retry } from './retry.ts';

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

const POLICY = { attempts: 5, base: 200, max: 5000 };
const DEFAULT_TIMEOUTS = { call: 10_000, transfer: 300_000 };

export interface EdgeClientOptions {
  url: string;
  secret: string;
  /** Milliseconds for a call that answers JSON, and for a call that moves a file. */
  timeouts?: { call: number; transfer: number };
}

interface Call {
  method: 'GET' | 'POST' | 'PUT';
  path: string;
  token?: string;
  body?: string | FileBody;
  headers?: Record<string, string>;
  timeout: number;
  signal?: AbortSignal | undefined;
}

/**
 * The only caller of the edge. Each call has a timeout, and calls that are safe to repeat are retried with jitter. Every failure is an
 * AppError: the edge's own code and words if it answered, otherwise `upstream_failed`.
 */
export class EdgeClient {
  readonly #url: string;
  readonly #secret: string;
  readonly #timeouts: { call: number; transfer: number };

  constructor({ url, secret, timeouts = DEFAULT_TIMEOUTS }: EdgeClientOptions) {
    this.#url = url;
    this.#secret = secret;
    this.#timeouts = timeouts;
  }

  /** Registers in one attempt: the caller tries again until the edge is up. */
  register(node: RegisterNode, signal?: AbortSignal): Promise<RegisterNodeResponse> {
    return this.#json(registerNodeResponse, this.#post('/internal/nodes', node, signal));
  }

  /** Sends a heartbeat in one attempt: the next heartbeat is the retry. */
  heartbeat(nodeId: string, body: Heartbeat, signal?: AbortSignal): Promise<HeartbeatResponse> {
    return this.#json(heartbeatResponse, this.#post(`/internal/nodes/${nodeId}/heartbeat`, body, signal));
  }

  /** Says goodbye in one attempt: a node that is not heard leaving soon counts as silent. */
  leave(nodeId: string, signal: AbortSignal): Promise<void> {
    return this.#done(this.#post(`/internal/nodes/${nodeId}/leave`, {}, signal));
  }

  /** Completes a job. The edge answers once every node knows of the new version, which takes longer if a node has just been lost. */
  complete(jobId: string, body: CompleteJob, signal?: AbortSignal): Promise<void> {
    const timeout = this.#timeouts.transfer;
    const call = (s: AbortSignal | undefined): Call => ({
      ...this.#post(`/internal/jobs/${jobId}/complete`, body, s),
      timeout,
    });
    return this.#repeat((s) => this.#done(call(s)), signal);
  }

  fail(jobId: string, body: FailJob, signal?: AbortSignal): Promise<void> {
    return this.#repeat((s) => this.#done(this.#post(`/internal/jobs/${jobId}/fail`, body, s)), signal);
  }

  /** Streams a job's dataset into a file, as JSONL. */
  downloadDataset(
    job: { id: string; token: string },
    kind: 'training' | 'validation',
    file: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const path = `/internal/jobs/${job.id}/files/${kind}`;
    return this.#download({ path, token: job.token, file, maxBytes: MAX_DATASET_BYTES, signal });
  }

  /** Streams one file of a trained adapter to the edge, with its length. */
  uploadAdapterFile(
    job: { id: string; token: string },
    name: BundleFile,
    file: string,
    signal?: AbortSignal,
  ): Promise<void> {
    return this.#upload({ path: `/internal/jobs/${job.id}/adapter/${name}`, token: job.token, file, signal });
  }

  /** Streams a job's saved training state to the edge, which keeps the newest. The file must not change meanwhile. */
  uploadCheckpoint(job: { id: string; token: string }, file: string, signal?: AbortSignal): Promise<void> {
    return this.#upload({ path: `/internal/jobs/${job.id}/checkpoint`, token: job.token, file, signal });
  }

  /** Streams the newest state that any attempt uploaded into a file. The caller checks the hash. */
  downloadCheckpoint(job: { id: string; token: string }, file: string, signal?: AbortSignal): Promise<void> {
    const path = `/internal/jobs/${job.id}/checkpoint`;
    return this.#download({ path, token: job.token, file, maxBytes: MAX_CHECKPOINT_BYTES, signal });
  }

  /** Streams a task's file of rows into `file`, as JSONL. */
  downloadTaskFile(task: { id: string; token: string }, file: string, signal?: AbortSignal): Promise<void> {
    const path = `/internal/tasks/${task.id}/file`;
    return this.#download({ path, token: task.token, file, maxBytes: MAX_DATASET_BYTES, signal });
  }

  downloadTaskPart(
    task: { id: string; token: string },
    number: number,
    file: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const path = `/internal/tasks/${task.id}/parts/${number}`;
    return this.#download({ path, token: task.token, file, maxBytes: MAX_PART_BYTES, signal });
  }

  /** Streams what came of a task's next rows to the edge. */
  uploadTaskPart(
    task: { id: string; token: string },
    { number, rows, file }: { number: number; rows: number; file: string },
    signal?: AbortSignal,
  ): Promise<void> {
    const path = `/internal/tasks/${task.id}/parts/${number}`;
    const headers = { [PART_ROWS_HEADER]: String(rows) };
    return this.#upload({ path, token: task.token, file, headers, signal });
  }

  uploadTaskResult(task: { id: string; token: string }, file: string, signal?: AbortSignal): Promise<void> {
    return this.#upload({ path: `/internal/tasks/${task.id}/result`, token: task.token, file, signal });
  }

  completeTask(id: string, body: CompleteTask, signal?: AbortSignal): Promise<void> {
    const path = `/internal/tasks/${id}/complete`;
    return this.#repeat((s) => this.#done(this.#post(path, body, s)), signal);
  }

  failTask(id: string, body: FailTask, signal?: AbortSignal): Promise<void> {
    return this.#repeat((s) => this.#done(this.#post(`/internal/tasks/${id}/fail`, body, s)), signal);
  }

  /**
   * Streams the files of an adapter's bundle into an existing folder. The caller checks the hashes.
   * @throws {AppError} `adapter_not_found` for a bundle the edge does not have.
   */
  async downloadAdapter(bundle: string, folder: string, signal?: AbortSignal): Promise<void> {
    const path = `/internal/adapters/${bundle}`;
    const call: Call = { method: 'GET', path, timeout: this.#timeouts.call, signal };
    const { manifest } = await this.#repeat(
      (each) => this.#json(bundleManifestResponse, { ...call, signal: each }),
      signal,
    );
    const files = manifest.map(({ name }) =>
      this.downloadAdapterFile(bundle, name, join(folder, name), signal),
    );
    // Nothing is still being written when it rejects.
    for (const result of await Promise.allSettled(files))
      if (result.status === 'rejected') throw result.reason;
  }

  /** Streams one file of an adapter's bundle into `file`. @throws as `downloadAdapter` does */
  downloadAdapterFile(bundle: string, name: BundleFile, file: string, signal?: AbortSignal): Promise<void> {
    const path = `/internal/adapters/${bundle}/files/${name}`;
    return this.#download({ path, file, maxBytes: MAX_FILE_BYTES[name], signal });
  }

  #post(path: string, body: unknown, signal: AbortSignal | undefined): Call {
    return { method: 'POST', path, body: JSON.stringify(body), timeout: this.#timeouts.call, signal };
  }

  #upload(upload: {
    path: string;
    token: string;
    file: string;
    headers?: Record<string, string>;
    signal: AbortSignal | undefined;
  }): Promise<void> {
    const { path, token, file, headers = {} } = upload;
    const timeout = this.#timeouts.transfer;
    const send = (signal: AbortSignal | undefined) =>
      withFileBody(file, (body) =>
        this.#done({ method: 'PUT', path, token, headers, body, timeout, signal }),
      );
    return this.#repeat(send, upload.signal);
  }

  #download(download: {
    path: string;
    token?: string;
    file: string;
    maxBytes: number;
    signal: AbortSignal | undefined;
  }): Promise<void> {
    const { path, file, maxBytes, token } = download;
    return this.#repeat(async (signal) => {
      const timeout = this.#timeouts.transfer;
      const response = await this.#call({ method: 'GET', path, ...(token && { token }), timeout, signal });
      try {
        await pipeline(bounded(response, maxBytes, path), createWriteStream(file));
      } catch (error) {
        throw this.#transferError(path, error);
      }
    }, download.signal);
  }

  #repeat<T>(action: (signal: AbortSignal | undefined) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return retry(POLICY, () => action(signal), isTransient, signal);
  }

  async #json<T extends z.ZodType>(schema: T, call: Call): Promise<z.infer<T>> {
    const response = await this.#call(call);
    const parsed = schema.safeParse(await this.#readJson(response, call.path));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    const place = issue?.path.join('.') || 'answer';
    throw new AppError(
      'upstream_failed',
      `${call.path}: the edge's ${place} is not as agreed: ${issue?.message}`,
    );
  }

  async #done(call: Call): Promise<void> {
    const response = await this.#call(call);
    await response.body?.cancel();
  }

  /** Fetches, and throws if the status is no success. */
  async #call(call: Call): Promise<Response> {
    const { body } = call;
    const headers: Record<string, string> = { ...call.headers, authorization: `Bearer ${this.#secret}` };
    if (call.token) headers[LEASE_TOKEN_HEADER] = call.token;
    if (call.method === 'POST') headers['content-type'] = 'application/json';
    if (typeof body === 'object') headers['content-length'] = String(body.bytes);
    const timeout = AbortSignal.timeout(call.timeout);
    let response: Response;
    try {
      response = await fetch(this.#url + call.path, {
        method: call.method,
        headers,
        redirect: 'error',
        signal: call.signal ? AbortSignal.any([call.signal, timeout]) : timeout,
        ...(body !== undefined && { body: typeof body === 'object' ? body.stream : body, duplex: 'half' }),
      });
    } catch (error) {
      throw this.#transferError(call.path, error);
    }
    if (!response.ok) throw await this.#refusal(response, call.path);
    return response;
  }

  async #refusal(response: Response, path: string): Promise<AppError> {
    const body = problemBody.safeParse(await this.#readJson(response, path).catch(() => undefined));
    if (!body.success)
      return new AppError('upstream_failed', `${path}: the edge answered ${response.status}`);
    const { code, message } = body.data.error;
    const known = code in ERROR_STATUS ? (code as ErrorCode) : 'upstream_failed';
    return new AppError(known, message);
  }

  async #readJson(response: Response, path: string): Promise<unknown> {
    try {
      const chunks: Uint8Array[] = [];
      for await (const chunk of bounded(response, MAX_ANSWER_BYTES, path)) chunks.push(chunk);
      return JSON.parse(Buffer.concat(chunks).toString('utf8'));
    } catch (error) {
      throw this.#transferError(path, error);
    }
  }

  /** Tells this node's full disk from errors of the connection, and names it as such. */
  #transferError(path: string, error: unknown): AppError {
    if (error instanceof AppError) return error;
    if (isDiskFull(error)) {
      return new AppError('no_capacity', 'the disk under WEFT_HOME is full', { cause: error });
    }
    return new AppError('upstream_failed', `${path}: the edge at ${this.#url} did not answer`, {
      cause: error,
    });
  }
}

/** True if the same call may succeed a moment later. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof AppError && (error.status === 429 || error.status >= 500) && !isDiskFull(error.cause)
  );
}

async function* bounded(response: Response, maxBytes: number, path: string): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes)
      throw new AppError('payload_too_large', `${path}: the edge sent more than ${maxBytes} bytes`);
    yield chunk;
  }
}
