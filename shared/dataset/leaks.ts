import { MAX_SHOWN } from '../api/dataset-report.ts';
import { MAX_ROW_CHARS } from '../api/rows.ts';
import { LineSplitter } from './rows.ts';
import { TextTable } from './text-table.ts';

// The labels of texts tell nothing here, so their place marks what is trained on.
const [UNTRAINED, TRAINED] = [0, 1];

/** Validation rows whose text is also trained on: how many, the first lines of them, and whether all were compared. */
export interface Leaks {
  rows: number;
  lines: number[];
  isComplete: boolean;
}

/**
 * Finds the validation rows whose text is also trained on. Both are datasets as they are stored, JSONL of texts and labels; the rows are
 * read one at a time, and of the validation rows' texts only hashes are kept.
 */
export async function findLeaks(
  training: AsyncIterable<Uint8Array>,
  validation: AsyncIterable<Uint8Array>,
): Promise<Leaks> {
  const texts = new TextTable();
  for await (const { text, line } of storedTexts(validation)) texts.add(text, line, UNTRAINED);
  for await (const { text } of storedTexts(training)) {
    const slot = texts.slotOf(text);
    if (slot !== undefined) texts.setLabel(slot, TRAINED);
  }
  let rows = 0;
  const lines: number[] = [];
  for (const slot of texts.slots()) {
    if (texts.labelAt(slot) !== TRAINED) continue;
    rows += texts.countAt(slot);
    lines.push(texts.lineAt(slot));
  }
  return { rows, lines: lines.sort((a, b) => a - b).slice(0, MAX_SHOWN), isComplete: texts.isComplete };
}

async function* storedTexts(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ text: string; line: number }> {
  const splitter = new LineSplitter(MAX_ROW_CHARS);
  for await (const chunk of chunks) {
    for (const line of splitter.push(chunk)) {
      if ('error' in line) throw new Error(`line ${line.line} of a stored dataset: ${line.error}`);
      yield { text: (JSON.parse(line.content) as { text: string }).text, line: line.line };
    }
  }
}
