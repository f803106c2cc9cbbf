const MAX_SHOWN = 5;
const MAX_CHARS = 40;

/** Names the first few of `values` in quotes, cut short, and how many more there are. */
export function some(values: readonly unknown[]): string {
  const shown = values.slice(0, MAX_SHOWN).map((value) => JSON.stringify(String(value).slice(0, MAX_CHARS)));
  const more = values.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
