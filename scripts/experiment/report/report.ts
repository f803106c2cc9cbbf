import type { ExperimentBase } from '../engine.ts';
import type { Options } from '../options.ts';
import type { Results } from './results.ts';

/** The inputs of a report. */
export interface ReportInput {
  readonly results: Results;
  readonly options: Options;
  readonly base: ExperimentBase;
}

/** A mode's report: Markdown sections, and the files that they show, by name. */
export interface Report {
  readonly title: string;
  readonly sections: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}
