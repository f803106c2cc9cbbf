import { useState } from 'preact/hooks';
import { ApiError } from '../api/client.ts';
import type { GetList } from '../api/requests.ts';
import type { List } from '../api/types.ts';
import { loadMore } from '../store/known.ts';
import { Problem } from './problem.tsx';

/** The way to a list's next page. */
export function More<T>({ of, list }: { of: GetList<T>; list: List<T> }) {
  const [error, setError] = useState<ApiError>();
  if (!list.has_more) return null;
  const load = () =>
    loadMore(of)
      .then(() => setError(undefined))
      .catch((cause) => {
        if (!(cause instanceof ApiError)) throw cause;
        setError(cause);
      });
  return (
    <>
      {error && <Problem error={error} />}
      <button type="button" onClick={load}>
        Show more
      </button>
    </>
  );
}
