import type { ErrorCode } from '../shared/errors.ts';

/** What to type after an error of the server, where the error alone decides that. */
const NEXT: Partial<Readonly<Record<ErrorCode, readonly string[]>>> = {
  invalid_api_key: ['weft login'],
  adapter_not_found: ['weft adapters list'],
  adapter_not_ready: ['weft jobs list'],
  job_not_found: ['weft jobs list'],
  job_finished: ['weft jobs list'],
  evaluation_not_found: ['weft evaluations list'],
  key_not_found: ['weft keys list'],
  file_in_use: ['weft jobs list'],
  queue_full: ['weft jobs list'],
};

export function nextAfter(code: string): readonly string[] {
  return Object.hasOwn(NEXT, code) ? NEXT[code as ErrorCode]! : [];
}
