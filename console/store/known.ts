import { effect, type Signal, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError, type CallOptions, send } from '../api/client.ts';
import type { Get, GetList } from '../api/requests.ts';
import type { List } from '../api/types.ts';
import { key, signOut } from './session.ts';

/** Calls the API with the key of this tab. @throws {ApiError} */
export async function call(path: string, options: Omit<CallOptions, 'key'> = {}): Promise<Response> {
  const used = key.value;
  if (used === null) throw new ApiError(401, 'There is no key.');
  try {
    return await send(path, { ...options, key: used });
  } catch (error) {
    if (error instanceof ApiError && error.status === 401 && key.value === used) signOut(true);
    throw error;
  }
}

export async function callJson<T>(path: string, options?: Omit<CallOptions, 'key'>): Promise<T> {
  return (await (await call(path, options)).json()) as T;
}

/** What is known of an answer: the newest value, and why there is none newer. */
export interface Known<T> {
  readonly value?: T;
  readonly error?: ApiError;
}

const known = new Map<string, { state: Signal<Known<unknown>>; loading?: Promise<void> | undefined }>();

effect(() => {
  if (key.value === null) known.clear();
});

function entryOf(path: string) {
  const entry = known.get(path) ?? { state: signal<Known<unknown>>({}) };
  known.set(path, entry);
  return entry;
}

/** Asks again for what a path gives; whoever shows it sees the answer. Asked twice at once it is one request. */
export function refresh<T>(get: Get<T>): Promise<void> {
  const entry = entryOf(get.path);
  entry.loading ??= load(get, entry.state as Signal<Known<T>>).finally(() => {
    entry.loading = undefined;
  });
  return entry.loading;
}

async function load<T>(get: Get<T>, state: Signal<Known<T>>): Promise<void> {
  try {
    const shown = (state.peek().value as List<unknown> | undefined)?.data?.length ?? 0;
    const value = 'isList' in get ? await loadList(get.path, shown) : await callJson<T>(get.path);
    state.value = { value: value as T };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    state.value = { ...state.peek(), error };
  }
}

/** As many pages as are shown. */
async function loadList(path: string, shown: number): Promise<List<unknown>> {
  const list = await callJson<List<unknown>>(path);
  while (list.has_more && list.data.length < shown) await append(path, list);
  return list;
}

async function append(path: string, list: List<unknown>): Promise<void> {
  const next = await callJson<List<unknown>>(`${path}&after=${encodeURIComponent(list.last_id!)}`);
  list.data.push(...next.data);
  list.has_more = next.has_more;
  list.last_id = next.last_id;
}

/** Loads a list's next page behind those that are shown. */
export async function loadMore<T>(get: GetList<T>): Promise<void> {
  const { state } = entryOf(get.path);
  const { value } = state.peek();
  if (!value) return;
  const longer = { ...(value as List<T>), data: [...(value as List<T>).data] };
  await append(get.path, longer);
  state.value = { value: longer };
}

/** What a path gives, asked for when the component appears and every so often while it stays. */
export function useKnown<T>(get: Get<T> | undefined, everyMs?: number): Known<T> {
  useEffect(() => {
    if (!get) return;
    void refresh(get);
    if (everyMs === undefined) return;
    const timer = setInterval(() => {
      if (!document.hidden) void refresh(get);
    }, everyMs);
    return () => clearInterval(timer);
  }, [get?.path, everyMs, key.value]);
  return get ? (entryOf(get.path).state.value as Known<T>) : {};
}
