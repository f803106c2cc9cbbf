import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { RUNTIME_VERSION } from '../../gpu-node/runtime/session.ts';
import type { ExperimentBase } from './engine.ts';
import type { Mode, Options } from './options.ts';
import { ablationReport } from './report/ablation.ts';
import { accuracyReport } from './report/accuracy.ts';
import { fewShotReport } from './report/few-shot.ts';
import { markdownTable } from './report/markdown.ts';
import { methodsReport } from './report/methods.ts';
import type { Report, ReportInput } from './report/report.ts';
import { Results } from './report/results.ts';
import { titleOf } from './report/titles.ts';
import { PROTOCOLS } from './result.ts';
import type { Planned } from './run-all.ts';
import { SETS } from './sets.ts';

const REPORTS: Readonly<Record<Mode, (input: ReportInput) => Report>> = {
  accuracy: accuracyReport,
  ablation: ablationReport,
  'few-shot': fewShotReport,
  methods: methodsReport,
};

export interface ReportSource {
  readonly options: Options;
  readonly plan: readonly Planned[];
  readonly base: ExperimentBase;
  /** The command that makes the report. */
  readonly command: string;
}

/** Writes the report of a mode over its finished runs, and the files that it shows; returns their paths. */
export async function writeReport(folder: string, source: ReportSource): Promise<string[]> {
  const { options, base, plan } = source;
  const results = new Results(plan);
  const { title, sections, files } = REPORTS[options.mode]({ results, options, base });
  const text = [`# ${title}`, preamble(source, results), ...sections, dataSection(plan, results)]
    .filter((part) => part !== '')
    .join('\n\n');
  await mkdir(folder, { recursive: true });
  const all = { [`${options.mode}.md`]: `${text}\n`, ...files };
  for (const [name, content] of Object.entries(all)) await writeFile(join(folder, name), content);
  return Object.keys(all).map((name) => join(folder, name));
}

function preamble({ options, base, command }: ReportSource, results: Results): string {
  const versions = [
    ...new Set(results.all.filter(({ run }) => run.engine === 'weft').map(({ code }) => code)),
  ];
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  const machine = `${cpus()[0]?.model}, ${cpus().length} cores, ${memory} GiB; Node ${process.versions.node}, onnxruntime ${RUNTIME_VERSION}`;
  const lines = [
    `Base model ${base.id}, seeds 1 to ${options.seeds.length}, ${options.threads} threads a run, ${options.jobs} at a time, on ${options.device}. ${machine}.`,
    `Protocol of Weft's rows, ${options.protocol}: ${PROTOCOLS[options.protocol]}.`,
    peerProtocol(options),
    results.missing > 0
      ? `**${results.missing} runs have not finished; their seeds are not in the figures.**`
      : '',
    options.limit === null ? '' : `**A smoke test: at most ${options.limit} rows of each file.**`,
    versions.length > 1
      ? `Weft's runs are of ${versions.length} versions of the engine: ${versions.join(', ')}.`
      : '',
  ];
  return [`\`\`\`sh\n${command}\n\`\`\``, ...lines.filter((line) => line !== '')].join('\n\n');
}

function peerProtocol({ configurations, protocol }: Options): string {
  if (!configurations.some(({ engine }) => engine === 'peft')) return '';
  const published = protocol === 'published';
  return published
    ? "Protocol of HF PEFT's rows: the same."
    : "Protocol of HF PEFT's rows: it trains on all of the training rows, sets none aside, and its last epoch is tested.";
}

function dataSection(plan: readonly Planned[], results: Results): string {
  const rows = results.sets.map((set) => {
    const { data } = plan.find(({ run }) => run.set === set)!;
    const labels = new Set(data.training.rows.map(({ label }) => label)).size;
    const { origin } = SETS.find(({ name }) => name === set)!;
    return [titleOf(set), `${data.training.rows.length}`, `${data.test.rows.length}`, `${labels}`, origin];
  });
  const head = ['set', 'training rows', 'tested rows', 'labels', 'where they come from'];
  const said =
    'Rows of the first run of each set. The published rows are of other models and, for IMDb, of other texts.';
  return `## Data\n\n${said}\n\n${markdownTable(head, rows)}`;
}
