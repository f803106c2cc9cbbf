import type { NodeClassifyRequest } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { findAdapter, findServable, type ServableAdapter, viewAdapter } from '../db/adapters.ts';
import type { Db } from '../db/client.ts';
import { isolate } from '../nodes/isolate.ts';

const keyOf = (tenant: string, ref: string) => `${tenant} ${ref}`;

/**
 * The ready adapters that a tenant's `refs` name, from the isolate's memory or else the database. References that are unknown or not ready
 * are left out and never remembered.
 */
export async function resolveAdapters(
  db: Db,
  tenant: string,
  refs: Iterable<string>,
): Promise<Map<string, ServableAdapter>> {
  const found = new Map<string, ServableAdapter>();
  const missing: string[] = [];
  for (const ref of new Set(refs)) {
    const known = isolate.adapters.get(keyOf(tenant, ref));
    if (known) found.set(ref, known);
    else missing.push(ref);
  }
  if (missing.length === 0) return found;
  for (const { settled, ...adapter } of await findServable(db, tenant, missing)) {
    found.set(adapter.ref, adapter);
    if (settled) isolate.adapters.set(keyOf(tenant, adapter.ref), adapter);
  }
  return found;
}

/** Forgets resolutions that a node has called stale. */
export function forgetAdapters(tenant: string, refs: Iterable<string>): void {
  for (const ref of refs) isolate.adapters.delete(keyOf(tenant, ref));
}

/** The oldest resolution of each name, by which a node tells whether any is stale. */
export function provenance(
  tenant: string,
  adapters: Iterable<ServableAdapter>,
): Required<Pick<NodeClassifyRequest, 'tenant' | 'names'>> {
  const oldest = new Map<string, number>();
  for (const { name, asOf } of adapters) oldest.set(name, Math.min(asOf, oldest.get(name) ?? asOf));
  return { tenant, names: [...oldest].map(([name, as_of]) => ({ name, as_of })) };
}

/** The reason why this reference has no ready adapter, naming the field that asks for it. */
export async function whyNotServable(db: Db, tenant: string, ref: string, param: string): Promise<AppError> {
  const row = await findAdapter(db, tenant, ref);
  if (!row) return new AppError('adapter_not_found', `${param}: there is no adapter ${ref}.`, { param });
  const { id, status, error } = viewAdapter(row);
  const why = error ? `: ${error.message}` : '';
  return new AppError('adapter_not_ready', `${param}: the adapter ${id} is not ready but ${status}${why}`, {
    param,
  });
}
