import { AppError } from '../../shared/errors.ts';
import { MAX_SEQUENCE_LENGTH } from '../../shared/peft-config.ts';

/** Characters of all texts that wait, so that memory stays bounded whatever their length. */
const MAX_WAITING_CHARS = 32 * 1024 * 1024;
/** English has some more characters a token, most other languages fewer. */
const CHARS_PER_TOKEN = 4;
/** The special tokens around a text. */
const SPECIAL_TOKENS = 2;
const MAX_RETRY_SECONDS = 60;

/** Tokens of a text that is not tokenized yet, and will be cut and put behind placeholders as its adapter says, which may not be in memory. */
export function estimateTokens(
  text: string,
  { maxLength, placeholders }: { maxLength: number; placeholders: number } = {
    maxLength: MAX_SEQUENCE_LENGTH,
    placeholders: 0,
  },
): number {
  return placeholders + Math.min(maxLength, Math.ceil(text.length / CHARS_PER_TOKEN) + SPECIAL_TOKENS);
}

/** What somebody brings, or has, in the queue. */
export interface Load {
  readonly rows: number;
  readonly tokens: number;
  readonly chars: number;
}

/** A place in the queue. */
export interface Ticket {
  /** As they were estimated, or corrected. */
  readonly tokens: number;
  /** Replaces the estimate of tokens by what they turned out to be. */
  correct(tokens: number): void;
  leave(): void;
}

/**
 * Who may wait: a queue bounded in tokens. A tenant may have as many waiting as it leaves free, so that one alone takes at
 * most half of the queue, two a third each, and there is always room for another (dynamic thresholds: Choudhury & Hahne
 * 1998).
 */
export class Admission {
  readonly #capacity: number;
  /** Tokens of those who have any waiting. */
  readonly #tenants = new Map<string, number>();
  #rows = 0;
  #tokens = 0;
  #chars = 0;

  /** `capacity` in tokens. */
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
   * Lets a request in. `secondsPerToken` is what a token has taken of late.
   * @throws {AppError} `rate_limited` where the queue has no room for it, with the seconds that what waits will take
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
