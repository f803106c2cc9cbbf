import type { ErrorCode, LineError } from '../shared/errors.ts';

/** What each exit code means. A command's help and `weft capabilities` name those that it may end with. */
export const EXITS = {
  done: 0,
  failed: 1,
  usage: 2,
  transient: 3,
  input_needed: 4,
  interrupted: 130,
} as const;
export type Exit = keyof typeof EXITS;

/** Codes of the errors that the command line itself finds; all others are the server's. */
export type OwnCode =
  | 'usage'
  | 'input_needed'
  | 'interrupted'
  | 'connection_failed'
  | 'unexpected_answer'
  | 'file_unreadable'
  | 'file_exists'
  | 'bad_config'
  | 'needs_clone'
  | 'platform_failed'
  | 'internal_error';

export interface FailureOptions {
  /** Status of the HTTP answer; null where no answer is the reason. */
  status?: number | null;
  /** Commands that lead on from here. */
  next?: readonly string[];
  /** Path into the request, as the server gives it. */
  param?: string | null | undefined;
  errors?: readonly LineError[] | undefined;
  totalErrors?: number | undefined;
  /** Seconds after which the same command may succeed. */
  retryAfter?: number | undefined;
  cause?: unknown;
}

/** An error as its reader gets it: it says what to type next, and holds no key. */
export class Failure extends Error {
  readonly exit: Exit;
  readonly code: OwnCode | ErrorCode | (string & {});
  readonly status: number | null;
  readonly next: readonly string[];
  readonly param: string | undefined;
  readonly errors: readonly LineError[] | undefined;
  readonly totalErrors: number | undefined;
  readonly retryAfter: number | undefined;

  constructor(exit: Exit, code: Failure['code'], message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.exit = exit;
    this.code = code;
    this.status = options.status ?? null;
    this.next = options.next ?? [];
    this.param = options.param ?? undefined;
    this.errors = options.errors;
    this.totalErrors = options.totalErrors;
    this.retryAfter = options.retryAfter;
  }

  /** The object that `--json` prints. */
  toJSON() {
    const { status, code, message, next, param, errors, totalErrors, retryAfter } = this;
    return {
      status,
      code,
      message,
      next,
      ...(param !== undefined && { param }),
      ...(errors && { errors, total_errors: totalErrors ?? errors.length }),
      ...(retryAfter !== undefined && { retry_after: retryAfter }),
    };
  }

  /** The same failure with commands that lead on from here, unless it names some. */
  withNext(...next: string[]): Failure {
    if (this.next.length > 0) return this;
    return new Failure(this.exit, this.code, this.message, { ...this, next });
  }
}

export function usage(message: string, options: FailureOptions = {}): Failure {
  return new Failure('usage', 'usage', message, options);
}

/** Words for why a file cannot be read or written; undefined for an error that is none of the file system. */
export function fileFailure(error: unknown, path: string): Failure | undefined {
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file or folder',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EISDIR: 'it is a folder',
    ENOTDIR: 'a part of the path is no folder',
    ENOSPC: 'the disk is full',
    EROFS: 'the disk is read-only',
  };
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === 'EEXIST') {
    return new Failure('failed', 'file_exists', `${path} exists already: name another, or say --yes`);
  }
  const reason = code === undefined ? undefined : reasons[code];
  if (reason === undefined) return undefined;
  return new Failure('failed', 'file_unreadable', `${path}: ${reason}`, { cause: error });
}
