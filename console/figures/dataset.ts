import type { Row } from '../api/rows.ts';

// What a file's rows look like. Pure, and linear in the rows.

/** Rows that have one text, by their places in the file. */
export interface Repeat {
  readonly text: string;
  readonly rows: readonly number[];
  readonly labels: readonly string[];
}

/** Texts that occur more than once: with one label, or with several, which contradict each other. The most frequent come first. */
export function repeatsOf(rows: readonly Row[]): { duplicates: Repeat[]; contradictions: Repeat[] } {
  const places = new Map<string, number[]>();
  for (const [i, { text }] of rows.entries()) {
    const there = places.get(text);
    if (there) there.push(i);
    else places.set(text, [i]);
  }
  const repeats = [...places]
    .filter(([, all]) => all.length > 1)
    .map(([text, all]) => ({ text, rows: all, labels: [...new Set(all.map((i) => rows[i]!.label))] }))
    .sort((a, b) => b.rows.length - a.rows.length);
  return {
    duplicates: repeats.filter(({ labels }) => labels.length === 1),
    contradictions: repeats.filter(({ labels }) => labels.length > 1),
  };
}

export interface LengthBin {
  /** Words, the first included and the last not; `to` of the last bin is infinite. */
  readonly from: number;
  readonly to: number;
  readonly rows: number;
}

/** Bounds of the bins, in words: fine where most texts are, and where the limits of tokens lie. */
const BOUNDS = [0, 5, 10, 20, 50, 100, 190, 380, Number.POSITIVE_INFINITY];

/** How many words the texts have. 190 words of English are some 256 tokens, the most of `max_length: "auto"`, and 380 some 512. */
export function lengthsOf(rows: readonly Row[]): LengthBin[] {
  const counts = BOUNDS.slice(1).map(() => 0);
  for (const { text } of rows) {
    const words = wordsIn(text);
    counts[BOUNDS.findIndex((bound) => words < bound) - 1]! += 1;
  }
  return counts.map((count, i) => ({ from: BOUNDS[i]!, to: BOUNDS[i + 1]!, rows: count }));
}

function wordsIn(text: string): number {
  let words = 0;
  let isInWord = false;
  for (let i = 0; i < text.length; i++) {
    const isBlank = text.charCodeAt(i) <= 32;
    if (!isBlank && !isInWord) words++;
    isInWord = !isBlank;
  }
  return words;
}

/** Places of the rows that have a label, if one is given, and hold a text, whatever its case. */
export function rowsWith(rows: readonly Row[], label: string, words: string): number[] {
  const wanted = words.trim().toLowerCase();
  const places: number[] = [];
  for (const [i, row] of rows.entries()) {
    if (label !== '' && row.label !== label) continue;
    if (wanted !== '' && !row.text.toLowerCase().includes(wanted)) continue;
    places.push(i);
  }
  return places;
}
