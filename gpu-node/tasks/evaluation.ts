import { writeFile } from 'node:fs/promises';
import {
  type Comparison,
  type EvaluationResult,
  MAX_FLIPPED,
  MAX_MISTAKES,
  type ModelResult,
  SHOWN_CHARS,
  type StoredEvaluationResult,
} from '../../shared/api/evaluations.ts';
import type { Example } from '../../shared/api/rows.ts';
import { mcnemar } from '../../shared/mcnemar.ts';
import { calibrationBins, classificationMetrics, expectedCalibrationError } from '../../shared/metrics.ts';
import { packMetrics } from '../../shared/packed-metrics.ts';
import { readExamples, sortLabels } from '../data/dataset.ts';
import type { Answer, TaskWork, TaskWorkModel } from './task.ts';

/** The smallest probability in the log loss, which a label that the model lacks would make infinite (scikit-learn's `log_loss`). */
const SMALLEST = 2 ** -52;

/** What a model made of a row, as a part keeps it: the label's index and its score, the score of the true label, and whether it was cut. */
type Outcome = readonly [predicted: number, score: number, ofTruth: number, truncated: 0 | 1];

/** What one model made of the rows. */
interface Outcomes {
  readonly predicted: number[];
  readonly scores: number[];
  readonly ofTruth: number[];
  truncated: number;
}

/** Evaluates models on labelled rows, and compares each two of them. */
export class Evaluation implements TaskWork {
  readonly #models: readonly TaskWorkModel[];
  readonly #outcomes: readonly Outcomes[];
  /** Labels of the file in order of appearance, and each row's index among them. */
  readonly #labels = new Map<string, number>();
  readonly #actual: number[] = [];

  constructor(models: readonly TaskWorkModel[]) {
    this.#models = models;
    this.#outcomes = models.map(() => ({ predicted: [], scores: [], ofTruth: [], truncated: 0 }));
  }

  take(row: Example, answers: readonly Answer[]): string {
    const outcomes = answers.map(({ scores, truncated }, i): Outcome => {
      let best = 0;
      for (const [label, score] of scores.entries()) if (score > scores[best]!) best = label;
      const truth = this.#models[i]!.labels.indexOf(row.label);
      return [best, scores[best]!, truth < 0 ? 0 : scores[truth]!, truncated ? 1 : 0];
    });
    this.#add(row, outcomes);
    return JSON.stringify(outcomes);
  }

  restore(row: Example, line: string): void {
    this.#add(row, JSON.parse(line));
  }

  async finish(file: string, output: string): Promise<void> {
    const results = this.#models.map((_, i) => this.#resultOf(i));
    const pairs = this.#models.flatMap((_, a) =>
      this.#models.slice(a + 1).map((_, i) => [a, a + 1 + i] as const),
    );
    const comparisons = pairs.map(([a, b]) => this.#compare(a, b));
    await this.#addTexts(file, { results, comparisons });
    const packed = results.map((one) => ({ ...one, metrics: packMetrics(one.metrics) }));
    const stored: StoredEvaluationResult = { results: packed, comparisons };
    await writeFile(output, JSON.stringify(stored));
  }

  #add({ label }: Example, outcomes: readonly Outcome[]): void {
    const known = this.#labels.get(label) ?? this.#labels.size;
    this.#labels.set(label, known);
    this.#actual.push(known);
    for (const [i, [predicted, score, ofTruth, truncated]] of outcomes.entries()) {
      const of = this.#outcomes[i]!;
      of.predicted.push(predicted);
      of.scores.push(score);
      of.ofTruth.push(ofTruth);
      of.truncated += truncated;
    }
  }

  #resultOf(i: number): ModelResult {
    const model = this.#models[i]!;
    const { predicted, scores, ofTruth, truncated } = this.#outcomes[i]!;
    const own = new Set(model.labels);
    const unknown = sortLabels([...this.#labels.keys()].filter((label) => !own.has(label)));
    const labels = [...model.labels, ...unknown];
    const indexes = new Map(labels.map((label, index) => [label, index]));
    const indexOf = [...this.#labels.keys()].map((label) => indexes.get(label)!);
    const actual = this.#actual.map((label) => indexOf[label]!);
    const right = actual.map((label, row) => label === predicted[row]);
    const loss = ofTruth.reduce((sum, p) => sum - Math.log(Math.max(p, SMALLEST)), 0) / actual.length;
    const ece = expectedCalibrationError(scores, right);
    const rowsOf = (label: string) => actual.reduce((sum, each) => sum + Number(labels[each] === label), 0);
    const wrong = [...actual.keys()].filter((row) => !right[row]);
    const worst = wrong.sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, MAX_MISTAKES);
    return {
      model: model.ref,
      metrics: classificationMetrics({ labels, actual, predicted, loss, ece }),
      labels,
      unknown_labels: Object.fromEntries(unknown.map((label) => [label, rowsOf(label)])),
      truncated,
      calibration: calibrationBins(scores, right),
      mistakes: worst.map((row) => ({
        ...shown(row, labels[actual[row]!]!),
        predicted: labels[predicted[row]!]!,
        score: scores[row]!,
      })),
    };
  }

  #compare(a: number, b: number): Comparison {
    const names = [...this.#labels.keys()];
    const truth = (row: number) => names[this.#actual[row]!]!;
    const outcomeOf = (i: number, row: number) => {
      const { ref: model, labels } = this.#models[i]!;
      const { predicted, scores } = this.#outcomes[i]!;
      return { model, predicted: labels[predicted[row]!]!, score: scores[row]! };
    };
    const counts = { both_right: 0, only_first_right: 0, only_second_right: 0, both_wrong: 0 };
    const flipped: { row: number; weight: number }[] = [];
    for (let row = 0; row < this.#actual.length; row++) {
      const [one, other] = [outcomeOf(a, row), outcomeOf(b, row)];
      const [first, second] = [one.predicted === truth(row), other.predicted === truth(row)];
      if (first && second) counts.both_right++;
      else if (first) counts.only_first_right++;
      else if (second) counts.only_second_right++;
      else counts.both_wrong++;
      if (one.predicted === other.predicted) continue;
      flipped.push({ row, weight: Number(first || second) + Math.max(one.score, other.score) });
    }
    const { only_first_right, only_second_right } = counts;
    const first = flipped.sort((x, y) => y.weight - x.weight || x.row - y.row).slice(0, MAX_FLIPPED);
    return {
      models: [this.#models[a]!.ref, this.#models[b]!.ref],
      ...counts,
      mcnemar: {
        discordant: only_first_right + only_second_right,
        p_value: mcnemar(only_first_right, only_second_right),
      },
      flipped: flipped.length,
      flipped_rows: first.map(({ row }) => ({
        ...shown(row, truth(row)),
        outcomes: [outcomeOf(a, row), outcomeOf(b, row)],
      })),
    };
  }

  /** Reads the file once more for the texts of the rows that are shown. */
  async #addTexts(file: string, { results, comparisons }: EvaluationResult): Promise<void> {
    const shownRows = [
      ...results.flatMap(({ mistakes }) => mistakes),
      ...comparisons.flatMap(({ flipped_rows }) => flipped_rows),
    ];
    const byRow = Map.groupBy(shownRows, ({ row }) => row);
    let number = 0;
    for await (const { text } of readExamples(file)) {
      number++;
      for (const row of byRow.get(number) ?? []) row.text = cut(text);
    }
  }
}

/** A row of the file by its index, whose text comes later. */
const shown = (row: number, label: string) => ({ row: row + 1, text: '', label });

/** The beginning of a text, which ends between two characters. */
function cut(text: string): string {
  if (text.length <= SHOWN_CHARS) return text;
  return `${text.slice(0, SHOWN_CHARS - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
