import type { Line, RawRow, RowParser } from './rows.ts';

/** Reads JSONL: an object with `text` and `label` a line; other fields are ignored, blank lines skipped. */
export class JsonlParser implements RowParser {
  readonly isBroken = false;

  take(line: Line): RawRow | undefined {
    if ('error' in line) return line;
    if (line.content.trim() === '') return undefined;
    let value: unknown;
    try {
      value = JSON.parse(line.content);
    } catch {
      return { line: line.line, error: 'not valid JSON' };
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return {
        line: line.line,
        error: 'not a JSON object; a line is one, such as {"text": "…", "label": "…"}',
      };
    }
    const { text, label } = value as Record<string, unknown>;
    return { line: line.line, text, label };
  }

  end(): undefined {}
}
