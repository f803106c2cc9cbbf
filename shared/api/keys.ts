import { z } from 'zod';
import { unixSeconds } from './common.ts';

/** Most keys of a tenant that are in use at once. */
export const MAX_KEYS = 100;
/** Seconds between two notes of a key's use, so that using it writes next to nothing. */
export const LAST_USE_SECONDS = 600;
/** Seconds for which a rotated key goes on unless the request says how long. */
const OVERLAP_SECONDS = 24 * 3600;
/** Most seconds until a key expires: ten years. */
const MAX_SECONDS = 10 * 365 * 24 * 3600;

/** A name that whoever makes a key gives it. */
export const keyName = z
  .string()
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{N} ._@+-]{0,62}$/u,
    'letters, digits, blanks and "._@+-", at most 63, beginning with a letter or digit',
  );

export const keyId = z.string().regex(/^key_[0-9a-f]{16}$/, "a key's id, e.g. key_24537667129ad959");

/** What a key may see beyond its tenant's own: an operator sees every node and the whole queue. Only `npm run keys` gives it. */
export const keyRole = z.enum(['operator']);
export type KeyRole = z.infer<typeof keyRole>;

/** `POST /v1/keys`. */
export const createKey = z.strictObject({
  name: keyName,
  /** Seconds from now; a key without it does not expire. */
  expires_in: z.int().min(1).max(MAX_SECONDS).optional(),
});

/** `POST /v1/keys/ID/rotate`. */
export const rotateKey = z.strictObject({
  /** Seconds for which the old key still works beside the new one; 0 ends it at once. */
  overlap: z.int().min(0).max(MAX_SECONDS).default(OVERLAP_SECONDS),
});

/** A key of the tenant's. The key itself is shown once, when it is made: only its SHA-256 is stored. */
export const apiKey = z.object({
  object: z.literal('api_key'),
  id: keyId,
  name: z.string().nullable(),
  created_at: unixSeconds,
  /** Null for a key that was not used yet; it lags by some minutes. */
  last_used_at: unixSeconds.nullable(),
  /** When the key ends by itself. */
  expires_at: unixSeconds.nullable(),
  /** Null for a key without one. */
  role: keyRole.nullable(),
  /** True for the key that the request came with. */
  current: z.boolean(),
});
export type ApiKey = z.infer<typeof apiKey>;

export const madeKey = apiKey.extend({ key: z.string() });
export const rotatedKey = madeKey.extend({
  /** The key that it replaces, and when that one ends. */
  replaces: z.object({ id: keyId, expires_at: unixSeconds }),
});
export const keyDeleted = z.object({ id: keyId, object: z.literal('api_key'), deleted: z.literal(true) });
