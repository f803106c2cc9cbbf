import { z } from 'zod';

/** A name by which an adapter is addressed. It has no slash and no leading dot, so it is safe in a URL. */
export const adapterName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'lower-case letters, digits, ".", "_" and "-", at most 63, beginning with a letter or digit',
  );

/** A name of the user's for one of an adapter's versions. It begins with a letter, so it is never taken for a version. */
export const aliasName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'lower-case letters, digits and "-", at most 32, beginning with a letter');

/** A reference to an adapter: `name`, meaning its highest ready version, `name@N`, or `name@alias`. */
export const adapterRef = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}(@([1-9][0-9]{0,8}|[a-z][a-z0-9-]{0,31}))?$/,
    "an adapter's name, name@version, or name@alias",
  );

/** The parts of a reference; a bare name has neither version nor alias. */
export interface AdapterRefParts {
  name: string;
  version?: number;
  alias?: string;
}

/** Splits `spam@3` or `spam@prod` into its parts. */
export function parseAdapterRef(ref: string): AdapterRefParts {
  const at = ref.indexOf('@');
  if (at < 0) return { name: ref };
  const [name, rest] = [ref.slice(0, at), ref.slice(at + 1)];
  return /^[0-9]/.test(rest) ? { name, version: Number(rest) } : { name, alias: rest };
}

export const fileId = z.string().regex(/^file_[A-Za-z0-9]{1,40}$/, 'a file id, e.g. file_4f1c…');
export const jobId = z.string().regex(/^ftjob_[A-Za-z0-9]{1,40}$/, 'a job id, e.g. ftjob_4f1c…');
export const nodeId = z.string().regex(/^node_[A-Za-z0-9]{1,40}$/, 'a node id, e.g. node_4f1c…');
export const unixSeconds = z.int().nonnegative();

const wellFormed = z.string().refine((value) => value.isWellFormed(), 'holds half a surrogate pair');

/** A client's own notes on an adapter that it trains. */
export const metadata = z
  .record(wellFormed.min(1).max(64), wellFormed.max(512))
  .refine((map) => Object.keys(map).length <= 16, 'at most 16 pairs')
  .meta({ maxProperties: 16, propertyNames: { minLength: 1, maxLength: 64 } });

/** From which all random choices of a training come. */
export const seed = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);

/**
 * Milliseconds for the next bytes of a request's body, at the edge and at a node. A large body over a slow line is honest, so its total
 * time has no bound.
 */
export const BODY_IDLE_MS = 30_000;

/** Most items of a page. */
export const MAX_PAGE = 100;

/** Items of a page. A request for more than the maximum gets the maximum. */
const pageLimit = z
  .string()
  .regex(/^0*[1-9][0-9]*$/, 'must be a whole number from 1 on')
  .transform((digits) => Math.min(Number(digits), MAX_PAGE))
  .meta({ type: 'integer', minimum: 1, description: `At most ${MAX_PAGE} are given` });

/** Cursor pagination: `after` is the id of the last element seen. */
export const pageQuery = z.object({
  after: z.string().max(128).optional(),
  limit: pageLimit.default(20),
  /** Order by age; `desc` is newest first. */
  order: z.enum(['asc', 'desc']).default('desc'),
});

/** A page of `item`. */
export function listOf<T extends z.ZodType>(item: T) {
  return z.object({
    object: z.literal('list'),
    data: z.array(item),
    has_more: z.boolean(),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
  });
}

export const problemBody = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
  }),
  errors: z.array(z.object({ line: z.int(), message: z.string() })).optional(),
  total_errors: z.int().optional(),
  /** Path of the list of all bad lines, where `errors` has the first alone; it stays for an hour. */
  errors_url: z.string().optional(),
  request_id: z.string(),
});
