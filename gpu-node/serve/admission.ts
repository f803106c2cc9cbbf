import { AppError } from '../../shared/errors.ts';
import { MAX_SEQUENCE_LENGTH } from '../../shared/peft-config.ts';

/** Most characters of all waiting texts, so that memory is bounded whatever their length. */
const MAX_WAITING_CHARS = 32 * 1024 * 1024;
/** Characters per token in the estimate: English has some more, most other languages fewer. */
const CHARS_PER_TOKEN = 4;
/** Number of special tokens around a text. */
const SPECIAL_TOKENS = 2;
const MAX_RETRY_SECONDS = 60;

/** Estimates the tokens of a text before it is tokenized. Its adapter decides on its cut and its placeholders, but may not be in memory. */
export function estimateTokens(
  text: string,
  { maxLength, placeholders }: { maxLength: number; placeholders: number } = {
    maxLength: MAX_SEQUENCE_LENGTH,
    placeholders: 0,
  },
): number {
  return placeholders + Math.min(maxLength, Math.ceil(text.length / CHARS_PER_TOKEN) + SPECIAL_TOKENS);
}

/** Size of a request, or of a tenant's waiting requests. */
export interface Load {
  readonly rows: number;
  readonly tokens: number;
  readonly chars: number;
}

/** A place in the queue. */
export interface Ticket {
  /** Tokens as estimated, or corrected. */
  readonly tokens: number;
  /** Replaces the estimate by the real number of tokens. */
  correct(tokens: number): void;
  leave(): void;
}

/**
 * Decides who may wait, in a queue bounded in tokens. A tenant may have as many tokens waiting as it leaves free. So one alone takes at
 * most half of the queue, two a third each, and there is always room for another (dynamic thresholds: Choudhury & Hahne 1998).
 */
export class Admission {
  readonly #capacity: number;
  /** Tokens of each tenant that has any waiting. */
  readonly #tenants = new Map<string, number>();
  #rows = 0;
  #tokens = 0;
  #chars = 0;

  /** `capacity` is in tokens. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get rows(): number {
    return this.#rows;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /**
   * Lets a request in. `secondsPerToken` is the recent time per token.
   * @throws {AppError} `rate_limited` if the queue has no room for it, with the seconds that the waiting texts will take
   */
  enter(tenant: string, load: Load, secondsPerToken: number): Ticket {
    const own = this.#tenants.get(tenant) ?? 0;
    const free = this.#capacity - this.#tokens - load.tokens;
    const tooLong = this.#chars > 0 && this.#chars + load.chars > MAX_WAITING_CHARS;
    if (own + load.tokens > free || tooLong) {
      const seconds = Math.ceil(this.#tokens * secondsPerToken);
      const message = `${this.#rows} texts of some ${this.#tokens} tokens are waiting, ${own} of these for the same tenant: the queue has no room for ${load.tokens} more`;
      throw new AppError('rate_limited', message, {
        retryAfter: Math.min(MAX_RETRY_SECONDS, Math.max(1, seconds)),
      });
    }
    let { tokens } = load;
    this.#change(tenant, load);
    return {
      get tokens() {
        return tokens;
      },
      correct: (exact) => {
        this.#change(tenant, { rows: 0, tokens: exact - tokens, chars: 0 });
        tokens = exact;
      },
      leave: () => this.#change(tenant, { rows: -load.rows, tokens: -tokens, chars: -load.chars }),
    };
  }

  #change(tenant: string, { rows, tokens, chars }: Load): void {
    this.#rows += rows;
    this.#tokens += tokens;
    this.#chars += chars;
    const own = (this.#tenants.get(tenant) ?? 0) + tokens;
    if (own > 0) this.#tenants.set(tenant, own);
    else this.#tenants.delete(tenant);
  }
}
