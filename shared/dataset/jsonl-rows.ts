import type { Columns } from './find-in-row.ts';
import { readFileRow } from './row-forms.ts';
import type { Line, RawRow, RowParser } from './rows.ts';

const MARK = '\ufeff';

/** Reads JSONL: one row per line; blank lines are skipped. */
export class JsonlParser implements RowParser {
  isBroken = false;
  readonly #columns: Columns;
  #isFirst = true;

  constructor(columns: Columns) {
    this.#columns = columns;
  }

  take(line: Line): RawRow | undefined {
    if ('error' in line) return line;
    // Joined files leave their byte order marks inside.
    const content = line.content.startsWith(MARK) ? line.content.slice(1) : line.content;
    if (content.trim() === '') return undefined;
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    try {
      return { line: line.line, read: readFileRow(JSON.parse(content), this.#columns) };
    } catch {
      this.isBroken = isFirst && content.trim() === '{';
      const error = `not valid JSON${whyNot(content.trim())}`;
      return { line: line.line, error, isFatal: this.isBroken };
    }
  }

  end(): undefined {}
}

/** The reason why JSON.parse refuses a line, if it is one of the usual mistakes. */
function whyNot(line: string): string {
  if (/^\{\s*'/.test(line))
    return ': its quotes are single ones, as Python prints a dict; write it with json.dumps';
  if (!line.startsWith('{')) return '';
  const end = objectEnd(line);
  if (end < 0) return ': the object does not end on its line; JSONL holds one object a line';
  const after = line.slice(end).trimStart();
  if (after.startsWith('{')) return ': more than one object on the line; put each on a line of its own';
  if (after === ',') return ': a comma after the object; JSONL has none between its lines';
  return '';
}

/** End of the object that begins the line; -1 if it does not end. */
function objectEnd(line: string): number {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < line.length; at++) {
    const character = line[at];
    if (character === '"') inString = !inString;
    else if (inString) at += character === '\\' ? 1 : 0;
    else if (character === '{') depth += 1;
    else if (character === '}') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return -1;
}
