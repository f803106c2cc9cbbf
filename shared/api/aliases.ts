import { z } from 'zod';
import { adapterName, adapterRef, aliasName, pageQuery, unixSeconds } from './common.ts';

/** Most aliases of one adapter. */
export const MAX_ALIASES = 32;
/** Changes of an alias that its history keeps. */
export const MAX_ALIAS_CHANGES = 1000;

const version = z.int().min(1).max(999_999_999);

/** `PUT /v1/adapters/NAME/aliases/ALIAS`. */
export const putAlias = z.strictObject({ version });

/** The key that made a change; its name is the one it had then. */
export const changedBy = z.object({ key: z.string(), name: z.string().nullable() });
export type ChangedBy = z.infer<typeof changedBy>;

/** An alias: `NAME@ALIAS` means `adapter` wherever an adapter is named. */
export const alias = z.object({
  object: z.literal('adapter.alias'),
  id: adapterRef,
  name: adapterName,
  alias: aliasName,
  version,
  adapter: adapterRef,
  created_at: unixSeconds,
  updated_at: unixSeconds,
  updated_by: changedBy,
});
export type Alias = z.infer<typeof alias>;

/** A change of an alias. `from` is null where it was made, and `to` where it was deleted. */
export const aliasChange = z.object({
  object: z.literal('adapter.alias.change'),
  id: z.string(),
  created_at: unixSeconds,
  by: changedBy,
  from: version.nullable(),
  to: version.nullable(),
  /** True where the alias went back to what it named before. */
  rollback: z.boolean(),
});
export type AliasChange = z.infer<typeof aliasChange>;

export const aliasDeleted = z.object({
  id: adapterRef,
  object: z.literal('adapter.alias'),
  deleted: z.literal(true),
});

export const aliasHistoryQuery = pageQuery;
