/** A list answer from rows read with one more than `limit`, which tells whether the list goes on. */
export function toPage<Row, Item>(
  rows: Row[],
  limit: number,
  view: (row: Row) => Item,
  idOf: (item: Item) => string,
) {
  const data = rows.slice(0, limit).map(view);
  const first = data[0];
  const last = data.at(-1);
  return {
    object: 'list' as const,
    data,
    has_more: rows.length > limit,
    first_id: first === undefined ? null : idOf(first),
    last_id: last === undefined ? null : idOf(last),
  };
}
