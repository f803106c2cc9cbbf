/** A family of Prometheus' text format: its series by name and labels, as written. */
export interface Family {
  kind: string;
  help: string;
  series: Map<string, number>;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\S+)$`);
const SUFFIXES: Record<string, RegExp> = { counter: /^$/, gauge: /^$/, histogram: /^_(bucket|sum|count)$/ };

/**
 * Reads Prometheus' text format (version 0.0.4) as strictly as it is written down: each family is one help, one type and its
 * samples, in one piece, and no series comes twice. @throws with the line that is wrong
 */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, Family>();
  let name = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const help = new RegExp(`^# HELP (${NAME}) (.+)$`).exec(line);
    const type = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`).exec(line);
    const family = families.get(name);
    if (help) {
      name = help[1]!;
      if (families.has(name)) throw new Error(`twice: ${line}`);
      families.set(name, { kind: '', help: help[2]!, series: new Map() });
    } else if (type) {
      if (type[1] !== name || !family || family.kind !== '') throw new Error(`out of place: ${line}`);
      family.kind = type[2]!;
    } else {
      addSample(line, name, family);
    }
  }
  return families;
}

function addSample(line: string, name: string, family: Family | undefined): void {
  const sample = SAMPLE.exec(line);
  if (!sample || !family?.kind) throw new Error(`not a sample: ${line}`);
  const [, full, labels = '', value] = sample as unknown as [string, string, string | undefined, string];
  if (!full.startsWith(name) || !SUFFIXES[family.kind]!.test(full.slice(name.length))) {
    throw new Error(`not of ${name}: ${line}`);
  }
  const key = `${full.slice(name.length)}{${labels}}`;
  if (family.series.has(key)) throw new Error(`twice: ${line}`);
  if (!Number.isFinite(Number(value))) throw new Error(`not a number: ${line}`);
  family.series.set(key, Number(value));
}
