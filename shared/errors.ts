/** The closed set of error codes that leave Weft, and the HTTP status of each. A client may switch on a code; the message is for people. */
export const ERROR_STATUS = {
  malformed_json: 400,
  malformed_body: 400,
  unknown_parameter: 400,
  invalid_api_key: 401,
  not_found: 404,
  adapter_not_found: 404,
  alias_not_found: 404,
  file_not_found: 404,
  job_not_found: 404,
  model_not_found: 404,
  node_not_found: 404,
  evaluation_not_found: 404,
  task_not_found: 404,
  key_not_found: 404,
  method_not_allowed: 405,
  adapter_not_ready: 409,
  /** This code stays between node and edge; the edge then resolves the name again. */
  adapter_stale: 409,
  file_in_use: 409,
  /** An alias names the version. */
  adapter_in_use: 409,
  /** There are as many of a kind as there may be; one has to be deleted first. */
  limit_reached: 409,
  /** The alias named no other version before. */
  nothing_to_roll_back: 409,
  idempotency_conflict: 409,
  lease_lost: 409,
  job_finished: 409,
  /** The tenant stores as many bytes as it may; the message names what to delete. */
  storage_full: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  invalid_request: 422,
  invalid_dataset: 422,
  invalid_adapter: 422,
  /** The adapter's method changes more than the base model's own weights can express. */
  not_mergeable: 422,
  /** The request takes longer than its client waits, even on an idle node. */
  deadline_too_short: 422,
  queue_full: 429,
  rate_limited: 429,
  internal_error: 500,
  training_failed: 500,
  upstream_failed: 502,
  no_capacity: 503,
  shutting_down: 503,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

type CodesOf<Status> = {
  [Code in ErrorCode]: (typeof ERROR_STATUS)[Code] extends Status ? Code : never;
}[ErrorCode];

/**
 * For each code with a status that OpenAI's SDKs or others like them retry: true if the same request may succeed later. A new code with such
 * a status does not compile until it has an entry here.
 */
const MAY_SUCCEED_AGAIN: Readonly<
  Record<CodesOf<405 | 408 | 409 | 413 | 429 | 500 | 502 | 503 | 504>, boolean>
> = {
  method_not_allowed: false,
  payload_too_large: false,
  // A training takes minutes, but a client's retries only seconds.
  adapter_not_ready: false,
  // The rows have to be resolved anew, which makes them another request.
  adapter_stale: false,
  file_in_use: false,
  adapter_in_use: false,
  limit_reached: false,
  nothing_to_roll_back: false,
  idempotency_conflict: false,
  lease_lost: false,
  job_finished: false,
  storage_full: false,
  // Room comes when the tenant's next job starts; Retry-After gives that time.
  queue_full: true,
  rate_limited: true,
  internal_error: true,
  training_failed: false,
  // A node refuses the same rows again; a node in trouble gives `no_capacity` instead.
  upstream_failed: false,
  no_capacity: true,
  shutting_down: true,
};

/** One bad row of an uploaded file; `line` counts from 1 and includes a header. */
export interface LineError {
  line: number;
  message: string;
}

export interface AppErrorOptions {
  /** Path into the request, e.g. `method.r` or `input.3.model`. */
  param?: string;
  /** The first bad lines of a file, at most 20; `totalErrors` counts all. */
  errors?: LineError[];
  totalErrors?: number;
  /** Path of a list of all bad lines. */
  errorsUrl?: string;
  /** Seconds after which the same request may succeed; it overrides the code's general answer. */
  retryAfter?: number;
  /** The content codings that a body may have (415). */
  acceptEncoding?: readonly string[];
  cause?: unknown;
}

/** An error that the user may see: its message holds no SQL, no stack and no path of a server's file system. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly errors: LineError[] | undefined;
  readonly totalErrors: number | undefined;
  readonly errorsUrl: string | undefined;
  readonly retryAfter: number | undefined;
  readonly acceptEncoding: readonly string[] | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.param = options.param;
    this.errors = options.errors;
    this.totalErrors = options.totalErrors;
    this.errorsUrl = options.errorsUrl;
    this.retryAfter = options.retryAfter;
    this.acceptEncoding = options.acceptEncoding;
  }

  get status(): number {
    return ERROR_STATUS[this.code];
  }

  /** True if clients would retry the request because of its status, and in vain. */
  get isFinal(): boolean {
    if (this.retryAfter !== undefined || !(this.code in MAY_SUCCEED_AGAIN)) return false;
    return !MAY_SUCCEED_AGAIN[this.code as keyof typeof MAY_SUCCEED_AGAIN];
  }
}

/** OpenAI's error `type`, derived from the status so that it cannot disagree with it. */
export function errorType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 404) return 'not_found_error';
  if (status === 409) return 'conflict_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

/** The body of an `application/problem+json` answer (RFC 9457, with OpenAI's `error` object inside). */
export function problem(error: AppError, requestId: string) {
  const { status, code, message } = error;
  return {
    type: `urn:weft:error:${code}`,
    title: code.replaceAll('_', ' '),
    status,
    detail: message,
    error: { message, type: errorType(status), param: error.param ?? null, code },
    ...(error.errors && { errors: error.errors, total_errors: error.totalErrors ?? error.errors.length }),
    ...(error.errorsUrl !== undefined && { errors_url: error.errorsUrl }),
    request_id: requestId,
  };
}
