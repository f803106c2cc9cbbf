import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { AppError, type ErrorCode, problem } from '../../shared/errors.ts';
import type { AppEnv } from './app-env.ts';

const HTTP_CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'malformed_json',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
};

/** Messages of D1 after which a later attempt may succeed (developers.cloudflare.com/d1/observability/debug-d1). */
const PASSING = [
  'D1 DB is overloaded',
  'Network connection lost',
  'storage caused object to be reset',
  'reset because its code was updated',
  'Cannot resolve D1 DB due to transient issue',
  'internal error; reference',
  // A local database says so while another process, such as `npm run keys`, holds it.
  'database is locked',
];

/** Answers an error as `application/problem+json`. A fault of the server itself is logged and never shown. */
export function respondWithError(thrown: unknown, c: Context<AppEnv>): Response {
  const error = toAppError(thrown);
  const id = c.get('requestId');
  if (error.code === 'internal_error') logFault(thrown, id, c.req.method, c.req.path);
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (error.retryAfter !== undefined) headers['retry-after'] = String(Math.ceil(error.retryAfter));
  if (error.acceptEncoding) headers['accept-encoding'] = error.acceptEncoding.join(', ');
  // OpenAI's SDKs, and clients made like them, obey this header.
  if (error.isFinal) headers['x-should-retry'] = 'false';
  if (error.status === 401) headers['www-authenticate'] = 'Bearer realm="weft"';
  return c.newResponse(JSON.stringify(problem(error, id)), error.status as 400, headers);
}

function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof HTTPException) return fromHono(thrown);
  if (isPassing(thrown)) {
    return new AppError('no_capacity', 'The database does not answer for now; try again shortly.', {
      retryAfter: 2,
      cause: thrown,
    });
  }
  return new AppError('internal_error', 'Something went wrong on our side.', { cause: thrown });
}

function fromHono(thrown: HTTPException): AppError {
  const code = HTTP_CODES[thrown.status] ?? 'internal_error';
  const messages: Partial<Record<ErrorCode, string>> = {
    unsupported_media_type: 'This route takes application/json.',
    malformed_json: 'The body is not valid JSON.',
  };
  return new AppError(code, messages[code] ?? thrown.message, { cause: thrown });
}

/** Reads the cause alone: drizzle's own message holds the statement's parameters, which a user wrote. */
function isPassing(thrown: unknown): boolean {
  const source = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  return source instanceof Error && PASSING.some((text) => source.message.includes(text));
}

/** Logs a fault without drizzle's messages: they quote parameters, and texts and tokens do not belong in a log. */
function logFault(thrown: unknown, requestId: string, method: string, path: string): void {
  const source = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  const detail =
    source instanceof Error ? { name: source.name, message: source.message, stack: stackOf(source) } : {};
  console.error(JSON.stringify({ level: 'error', request_id: requestId, method, path, ...detail }));
}

function stackOf(error: Error): string[] {
  const frames = error.stack?.split('\n').filter((line) => line.trimStart().startsWith('at ')) ?? [];
  return frames.slice(0, 8).map((line) => line.trim());
}
