import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type JobHooks, runJob } from '../../../gpu-node/train/job.ts';
import type { TrainingSpec } from '../../../gpu-node/train/protocol.ts';
import { readAdapterFiles } from '../../../gpu-node/weights/adapter-file.ts';
import { BUNDLE_FILES, type BundleFile } from '../../../shared/adapter-format.ts';
import type { Example } from '../../../shared/api/common.ts';
import type { ResolvedTraining } from '../../../shared/api/nodes.ts';
import { withFolder } from '../../support/tiny-bert.ts';
import { toyTexts, writeTrainingSpec } from '../../support/toy-task.ts';

interface Job {
  rows?: readonly Example[];
  validation?: readonly Example[];
  changes?: (spec: TrainingSpec) => Partial<TrainingSpec>;
  signal?: AbortSignal;
}

/** Runs a job on tiny-bert and gives what it said and wrote. */
function run({ rows = toyTexts(60, 1), validation, changes, signal }: Job = {}) {
  return withFolder(async (folder) => {
    const spec = await writeTrainingSpec(folder, rows, validation);
    const messages: string[] = [];
    let resolved: ResolvedTraining | undefined;
    const hooks: JobHooks = {
      signal: signal ?? new AbortController().signal,
      onResolved: (each) => {
        resolved = each;
      },
      onProgress: () => {},
      onEvent: ({ message }) => messages.push(message),
    };
    const done = await runJob({ ...spec, ...changes?.(spec) }, hooks);
    const files = await Promise.all(
      BUNDLE_FILES.map(async (name) => [name, await readFile(join(spec.output_folder, name))] as const),
    );
    return { done, resolved, messages, files: Object.fromEntries(files) as Record<BundleFile, Buffer>, spec };
  });
}

describe('a training job', () => {
  it('writes an adapter that serving reads, with a manifest of its files', async () => {
    const { done, files, spec, resolved } = await run();
    const base = {
      ...spec.base_model,
      family: 'bert' as const,
      hidden_size: 32,
      num_layers: 2,
      max_length: 64,
    };
    const adapter = readAdapterFiles(files, base, 'adapter toy@1');
    expect(adapter.weft).toMatchObject({
      labels: ['animal', 'money'],
      pooling: 'mean',
      metrics: done.metrics?.validation,
    });
    expect(adapter.description.targets).toHaveLength(4);
    for (const { name, bytes, sha256 } of done.manifest) {
      expect(files[name].length).toBe(bytes);
      expect(createHash('sha256').update(files[name]).digest('hex')).toBe(sha256);
    }
    expect(done.resolved).toEqual(resolved);
    expect(done.metrics!.validation.examples).toBe(12);
    expect(done.trained_tokens).toBeGreaterThan(48 * 5);
  });

  it('gives the same files for the same seed', async () => {
    const { files } = await run();
    expect((await run()).files).toEqual(files);
  });

  it('follows what an earlier attempt resolved', async () => {
    const { resolved } = await run();
    const { method, hyperparameters } = resolved!;
    const earlier = {
      ...resolved!,
      method: { ...method, r: 3 },
      hyperparameters: { ...hyperparameters, epochs: 2 },
    };
    const { done, messages } = await run({ changes: () => ({ resolved: earlier }) });
    expect(done.resolved).toEqual(earlier);
    expect(messages.filter((message) => message.startsWith('epoch'))).toHaveLength(2);
  });

  it('validates on a file of its own', async () => {
    const { done } = await run({ validation: toyTexts(10, 2) });
    expect(done.metrics!.validation.examples).toBe(10);
  });

  it('has no metrics where too few rows are left to set aside', async () => {
    const { done } = await run({ rows: toyTexts(8, 1) });
    expect(done.metrics).toBeNull();
  });

  it('says how many texts are cut', async () => {
    const long = { text: 'money '.repeat(100), label: 'money' };
    const { messages } = await run({
      rows: [...toyTexts(59, 1), long],
      changes: ({ hyperparameters }) => ({ hyperparameters: { ...hyperparameters, max_length: 64 } }),
    });
    expect(messages[0]).toMatch('1 of 60 texts are longer than 64 tokens');
  });

  it.each<[string, Job, string]>([
    ['one label', { rows: toyTexts(8, 1).filter(({ label }) => label === 'money') }, 'holds 1 label'],
    [
      'a validation label unseen in training',
      { validation: [{ text: 'a dog', label: 'weather' }] },
      'the validation file holds the label "weather", which no training row has',
    ],
    [
      'a target that is no layer',
      { changes: ({ method }) => ({ method: { ...method, target_modules: ['querry'] } }) },
      'target_modules: "querry" is no linear layer of the base model, which has attention.self.query',
    ],
    [
      'a length beyond the base model',
      { changes: ({ hyperparameters }) => ({ hyperparameters: { ...hyperparameters, max_length: 512 } }) },
      'max_length 512: the base model takes at most 64 tokens',
    ],
    [
      'a weight of an unknown label',
      {
        changes: ({ hyperparameters }) => ({
          hyperparameters: { ...hyperparameters, class_weights: { weather: 2 } },
        }),
      },
      'class_weights: "weather" is no label',
    ],
  ])('refuses %s', async (_, job, message) => {
    await expect(run(job)).rejects.toThrow(message);
  });

  it('stops where it is told to before it trains', async () => {
    await expect(run({ signal: AbortSignal.abort(new Error('cancelled')) })).rejects.toThrow('cancelled');
  });
});
