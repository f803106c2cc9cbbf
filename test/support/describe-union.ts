import { checkContents } from '../../shared/adapter-check.ts';
import type { AdapterConfig } from '../../shared/adapter-config.ts';
import type { AdapterDescription } from '../../shared/adapter-description.ts';
import { hubConfigTexts, parseHubConfigs } from '../../shared/adapterhub-config.ts';
import type { PeftConfig } from '../../shared/peft-config.ts';
import { writeSafetensors } from '../../shared/safetensors.ts';
import { scanWeights } from '../../shared/weights-scan.ts';
import { WHAT } from './describe-files.ts';
import { bertOf } from './encoders.ts';

/** Shapes of tensors by name; null is one that is not there. */
export type Shapes = Readonly<Record<string, readonly number[] | null>>;
export type MemberSettings = { architecture?: string | null }[];

/** The files of a union in AdapterHub's layout, for a test to change: its members' settings as they are written, and what an import makes of changed ones. */
export function unionFiles(method: PeftConfig, hidden: number, shapes: Shapes) {
  const about = { encoder: bertOf(hidden), modules: [], baseModel: 'base', revision: null };
  const weft = { labels: ['a', 'b', 'c'], pooling: method.pooling };
  const [adapter, head] = hubConfigTexts({ method, ...about }, weft as never);
  const settings = (): MemberSettings => JSON.parse(adapter).config.configs;
  const parse = (configs: unknown = settings()): AdapterConfig => {
    const file = JSON.parse(adapter);
    const changed = JSON.stringify({ ...file, config: { ...file.config, configs } });
    return parseHubConfigs((name) => (name === 'head_config.json' ? head : changed), WHAT);
  };
  return {
    settings,
    /** The settings with keys of one member set to something else. */
    withKeys: (member: number, keys: object): object[] =>
      settings().map((each, i) => (i === member ? { ...each, ...keys } : each)),
    /** @throws AppError `invalid_adapter`, as an import does */
    parse,
    /** @throws AppError `invalid_adapter`, as an import does */
    describe: (changes: Shapes = {}, value = 0, configs: unknown = settings()): AdapterDescription => {
      const tensors = Object.entries({ ...shapes, ...changes }).flatMap(([name, shape]) => {
        if (shape === null) return [];
        const size = shape.reduce((a, b) => a * b, 1);
        return [[name, { shape, data: new Float32Array(size).fill(value) }] as const];
      });
      const scanned = scanWeights(writeSafetensors(new Map(tensors)), { file: WHAT, maxHeaderBytes: 1e6 });
      return checkContents(parse(configs), scanned, WHAT);
    },
  };
}
