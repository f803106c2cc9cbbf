import type { Line, RawRow, RowParser } from './rows.ts';

/** Reads JSONL: a row a line; blank lines are skipped. */
export class JsonlParser implements RowParser {
  readonly isBroken = false;

  take(line: Line): RawRow | undefined {
    if ('error' in line) return line;
    if (line.content.trim() === '') return undefined;
    try {
      return { line: line.line, row: JSON.parse(line.content) };
    } catch {
      return { line: line.line, error: 'not valid JSON' };
    }
  }

  end(): undefined {}
}
