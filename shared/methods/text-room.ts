import type { AdapterDescription } from '../adapter-description.ts';
import { AppError } from '../errors.ts';
import type { PeftConfig, PeftRequest } from '../peft-config.ts';
import { MIN_TEXT_TOKENS } from './fields.ts';
import { formatOf } from './index.ts';
import { AUTO_VIRTUAL_TOKENS } from './prompt-format.ts';

/*
 * Virtual tokens take positions of the base model from the text, and count in `max_length`: a text has what they leave.
 */

/** How many virtual tokens a method has that take positions; AdapterHub's prefixes take none. */
export function virtualTokensOf(method: PeftConfig | PeftRequest): number {
  if (!('num_virtual_tokens' in method) || !formatOf(method.type).virtualTokens) return 0;
  const { num_virtual_tokens: count } = method;
  return count === 'auto' ? AUTO_VIRTUAL_TOKENS : count;
}

/** How many an adapter's files hold. */
export function virtualTokensIn({ method, targets }: AdapterDescription): number {
  const { virtualTokens } = formatOf(method);
  return virtualTokens ? targets.reduce((sum, target) => sum + virtualTokens(target), 0) : 0;
}

/**
 * That virtual tokens leave room for texts.
 * @param longest tokens that the base model reads
 * @throws {AppError} `invalid_request` at the field that has to change
 */
export function requireTextRoom(
  method: PeftConfig | PeftRequest,
  maxLength: number | 'auto',
  base: string,
  longest: number,
): void {
  const count = virtualTokensOf(method);
  if (count === 0) return;
  if (longest - count < MIN_TEXT_TOKENS) {
    const param = 'method.num_virtual_tokens';
    const most = `at most ${longest - MIN_TEXT_TOKENS} leave the ${MIN_TEXT_TOKENS} that a text needs`;
    throw new AppError('invalid_request', `${param} ${count}: ${base} reads ${longest} tokens; ${most}`, {
      param,
    });
  }
  if (maxLength === 'auto' || maxLength - count >= MIN_TEXT_TOKENS) return;
  const param = 'hyperparameters.max_length';
  const least = `at least ${count + MIN_TEXT_TOKENS} leave the ${MIN_TEXT_TOKENS} that a text needs`;
  const message = `${param} ${maxLength}: ${count} of them are virtual tokens; ${least}`;
  throw new AppError('invalid_request', message, { param });
}
