const MAX_SHOWN = 5;
const MAX_CHARS = 40;

/** Names the first few of `values` as JSON, cut short, and how many more there are. */
export function some(values: readonly unknown[]): string {
  const first = values.slice(0, MAX_SHOWN).map(shown);
  const more = values.length - first.length;
  return first.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, MAX_CHARS));
  return (JSON.stringify(value) ?? 'nothing').slice(0, MAX_CHARS);
}
