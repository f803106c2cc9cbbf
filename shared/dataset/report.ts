import { type DatasetReport, MAX_SHOWN } from '../api/dataset-report.ts';
import { type LabelCount, lookAlikes } from '../look-alike.ts';
import { Lengths } from './lengths.ts';
import { TextTable } from './text-table.ts';

/** Tokens that the longest reading base models take. */
const MAX_TOKENS = 512;
/** Of which two mark begin and end. */
const MAX_WORDS = MAX_TOKENS - 2;
const MAX_EXCERPT_CHARS = 80;
/** Most labels that the report shows of one text, or of one group of twins. */
const MAX_LABELS_SHOWN = 5;
/** Stands for the label of a text that has had two; labels are numbered from 0 to 999. */
const SEVERAL = 0xffff;

type Contradiction = DatasetReport['contradictions']['examples'][number];

/** Rows of a kind: all in number, and the first lines. */
class RowsAt {
  rows = 0;
  readonly lines: number[] = [];

  add(line: number): void {
    this.rows += 1;
    if (this.lines.length < MAX_SHOWN) this.lines.push(line);
  }

  report(): { rows: number; lines: number[] } {
    return { rows: this.rows, lines: this.lines };
  }
}

/** Looks at the rows of a dataset, one after another in bounded memory, and reports what is odd about them together. */
export class ReportBuilder {
  /** Number of rows that repeat an earlier text with another label than its first. */
  conflicting = 0;
  readonly #duplicates = new RowsAt();
  readonly #tooLong = new RowsAt();
  readonly #lengths = new Lengths();
  readonly #texts = new TextTable();
  readonly #numberOfLabel = new Map<string, number>();
  readonly #labels: string[] = [];
  /** The first texts with several labels, by their slot's first line. */
  readonly #contradictions = new Map<number, Contradiction>();
  #rows = 0;

  get duplicates(): number {
    return this.#duplicates.rows;
  }

  add(text: string, label: string, line: number): void {
    this.#rows += 1;
    this.#lengths.add(text.length, line);
    if (hasMoreWords(text, MAX_WORDS)) this.#tooLong.add(line);
    const number = this.#numberOf(label);
    const seen = this.#texts.add(text, line, number);
    if (!seen || seen.isNew) return;
    const first = this.#texts.labelAt(seen.slot);
    if (first === number) this.#duplicates.add(line);
    else this.#contradict(seen.slot, first, { text, label, line });
  }

  report(labels: Iterable<LabelCount>): DatasetReport {
    let [texts, rows] = [0, 0];
    for (const slot of this.#texts.slots()) {
      if (this.#texts.labelAt(slot) !== SEVERAL) continue;
      texts += 1;
      rows += this.#texts.countAt(slot);
    }
    return {
      rows: this.#rows,
      duplicates: this.#duplicates.report(),
      contradictions: { texts, rows, examples: [...this.#contradictions.values()] },
      near_twin_labels: lookAlikes(labels).slice(0, MAX_SHOWN).map(shownTwins),
      too_long: { tokens: MAX_TOKENS, ...this.#tooLong.report() },
      lengths: this.#lengths.report(),
      leaks: null,
      is_complete: this.#texts.isComplete,
    };
  }

  #numberOf(label: string): number {
    let number = this.#numberOfLabel.get(label);
    if (number === undefined) {
      number = this.#labels.push(label) - 1;
      this.#numberOfLabel.set(label, number);
    }
    return number;
  }

  #contradict(
    slot: number,
    first: number,
    { text, label, line }: { text: string; label: string; line: number },
  ): void {
    this.conflicting += 1;
    const firstLine = this.#texts.lineAt(slot);
    if (first !== SEVERAL) {
      this.#texts.setLabel(slot, SEVERAL);
      if (this.#contradictions.size < MAX_SHOWN) {
        const labels = [{ label: excerptOf(this.#labels[first]!), line: firstLine }];
        this.#contradictions.set(firstLine, { text: excerptOf(text), labels });
      }
    }
    const labels = this.#contradictions.get(firstLine)?.labels;
    const shown = excerptOf(label);
    if (labels && labels.length < MAX_LABELS_SHOWN && !labels.some((each) => each.label === shown)) {
      labels.push({ label: shown, line });
    }
  }
}

function shownTwins(group: readonly LabelCount[]): { label: string; rows: number }[] {
  return group.slice(0, MAX_LABELS_SHOWN).map(([label, rows]) => ({ label: excerptOf(label), rows }));
}

/** The beginning of a text; a character of two code units is not cut. */
function excerptOf(text: string): string {
  if (text.length <= MAX_EXCERPT_CHARS) return text;
  return `${Array.from(text.slice(0, MAX_EXCERPT_CHARS)).slice(0, -1).join('')}…`;
}

/** True if a text has more words, parted by blanks, than `most`. Every tokenizer that is served makes at least one token of each. */
function hasMoreWords(text: string, most: number): boolean {
  if (text.length <= 2 * most) return false;
  let words = 0;
  let isInWord = false;
  for (let i = 0; i < text.length; i++) {
    const isBlank = text.charCodeAt(i) <= 0x20;
    if (!isBlank && !isInWord && ++words > most) return true;
    isInWord = !isBlank;
  }
  return false;
}
