/** A label and its number of rows. */
export type LabelCount = readonly [label: string, rows: number];

const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;
const MAX_SHOWN = 5;
const MAX_SHOWN_CHARS = 80;

/**
 * A key of a label's look: labels with equal keys look alike. It ignores compatibility forms (NFKC, which also composes accents), case,
 * runs of blanks, outer blanks, controls and characters without width.
 */
export function lookOf(label: string): string {
  // Upper case first turns ß into ss, and both small sigmas into one.
  const folded = label.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC');
  return folded
    .replace(INVISIBLE, '')
    .replace(/\s+/g, ' ')
    .replace(/\p{Cc}/gu, '')
    .trim();
}

/** Groups of at least two labels that look alike. */
export function lookAlikes(counts: Iterable<LabelCount>): LabelCount[][] {
  const groups = Map.groupBy(counts, ([label]) => lookOf(label));
  return [...groups.values()].filter((group) => group.length > 1);
}

/** Describes such a group in words. */
export function describeAlike(group: readonly LabelCount[]): string {
  const shown = group
    .slice(0, MAX_SHOWN)
    .map(([label, rows]) => `${showLabel(label)} (${rows === 1 ? '1 row' : `${rows} rows`})`);
  const more = group.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}: these labels look alike, and are kept apart`;
}

/** A label in quotes; escapes replace characters that cannot be seen or told apart. */
export function showLabel(label: string): string {
  const visible = JSON.stringify(label).replace(
    /[\p{M}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]|(?! )\p{Z}/gu,
    escaped,
  );
  return visible.length > MAX_SHOWN_CHARS ? `${visible.slice(0, MAX_SHOWN_CHARS)}…"` : visible;
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
