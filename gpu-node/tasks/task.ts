import type { NodeClassifyResponse } from '../../shared/api/nodes.ts';
import type { Example } from '../../shared/api/rows.ts';

/** A model's answer to a row. */
export type Answer = NodeClassifyResponse['rows'][number];

/** What a kind of task makes of the rows of its file. The rows come in the file's order, whichever attempt asked the models. */
export interface TaskWork {
  /** Takes the models' answers to the next row, and returns the line that a part keeps of it. */
  take(row: Example, answers: readonly Answer[]): string;
  /** Takes the next row from the line that an earlier attempt kept of it. */
  restore(row: Example, line: string): void;
  /** Writes the result into `output`, when all rows of `file` are taken. */
  finish(file: string, output: string): Promise<void>;
}

/** A model of a task, and its labels in the order of its scores. */
export interface TaskWorkModel {
  ref: string;
  labels: readonly string[];
}
