import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { type JobHooks, runJob } from '../../../gpu-node/train/job.ts';
import type { TrainingEvent, TrainingSpec } from '../../../gpu-node/train/protocol.ts';
import { readAdapterFiles } from '../../../gpu-node/weights/adapter-file.ts';
import { LAYOUTS, type LayoutFile, MAX_FILE_BYTES } from '../../../shared/adapter-format.ts';
import type { ResolvedTraining } from '../../../shared/api/nodes.ts';
import type { Example } from '../../../shared/api/rows.ts';
import { MAX_LABELS } from '../../../shared/api/rows.ts';
import { areTooLong } from '../../../shared/label-limits.ts';
import { packedMetrics, packMetrics, unpackMetrics } from '../../../shared/packed-metrics.ts';
import { hyperparametersRequest, peftRequest } from '../../../shared/peft-config.ts';
import { ADAPTER_HEADER_BYTES, parseHeader, readTensors } from '../../../shared/safetensors.ts';
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
    const events: TrainingEvent[] = [];
    let resolved: ResolvedTraining | undefined;
    const hooks: JobHooks = {
      signal: signal ?? new AbortController().signal,
      onResolved: (each) => {
        resolved = each;
      },
      onProgress: () => {},
      onEvent: (event) => events.push(event),
      onCheckpoint: () => {},
    };
    const done = await runJob({ ...spec, ...changes?.(spec) }, hooks);
    const files = await Promise.all(
      LAYOUTS.peft.files.map(async (name) => [name, await readFile(join(spec.output_folder, name))] as const),
    );
    const messages = events.map(({ message }) => message);
    const left = await readdir(spec.output_folder);
    return {
      done,
      resolved,
      messages,
      events,
      left,
      files: Object.fromEntries(files) as Record<LayoutFile<'peft'>, Buffer>,
      spec,
    };
  });
}

describe('a training job', () => {
  it('writes an adapter that serving reads, with a manifest of its files', async () => {
    const { done, files, spec, resolved, left } = await run();
    expect(left.sort()).toEqual([...LAYOUTS.peft.files].sort());
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
      metrics: done.metrics && packMetrics(done.metrics.validation),
    });
    expect(adapter.weft.temperature).toBeGreaterThan(0);
    expect(adapter.weft.temperature).not.toBe(1);
    expect(adapter.description.targets).toHaveLength(12);
    for (const { name, bytes, sha256 } of done.manifest) {
      expect(files[name as LayoutFile<'peft'>].length).toBe(bytes);
      expect(
        createHash('sha256')
          .update(files[name as LayoutFile<'peft'>])
          .digest('hex'),
      ).toBe(sha256);
    }
    expect(done.resolved).toEqual(resolved);
    const weights = files['adapter_model.safetensors'];
    const header = parseHeader(weights, weights.length, {
      file: 'weights',
      maxHeaderBytes: ADAPTER_HEADER_BYTES,
    });
    const saved = [...readTensors(weights, header).values()];
    expect(resolved!.trained_parameters).toBe(saved.reduce((sum, { data }) => sum + data.length, 0));
    expect(done.metrics!.validation.examples).toBe(12);
    expect(done.trained_tokens).toBeGreaterThan(48 * 5);
  });

  it('trains as many labels as there may be, as long as they may be, with a validation of each', async () => {
    // Quotes are escaped by two bytes, so that the labels together take what is allowed.
    const labels = Array.from(
      { length: MAX_LABELS },
      (_, i) => `${String(i).padStart(4, '0')}${'"'.repeat(126)}`,
    );
    expect(areTooLong(labels)).toBe(false);
    expect(areTooLong(labels.map((label) => `${label}""`))).toBe(true);
    const rows = labels.flatMap((label, i) =>
      ['fox', 'dog'].map((word) => ({ text: `${word} ${i}`, label })),
    );
    const { done, files } = await run({
      rows,
      validation: rows.filter((_, i) => i % 2 === 0),
      changes: ({ hyperparameters }) => ({
        hyperparameters: { ...hyperparameters, epochs: 1, batch_size: 256, max_length: 8 },
      }),
    });
    const { validation } = done.metrics!;
    expect(validation.examples).toBe(MAX_LABELS);
    expect(validation.confusion_matrix).toHaveLength(MAX_LABELS);
    const weft = JSON.parse(files['weft.json'].toString());
    expect(unpackMetrics(packedMetrics.parse(weft.metrics))).toEqual(validation);
    for (const { name, bytes } of done.manifest) expect(bytes).toBeLessThan(MAX_FILE_BYTES[name]);
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
    expect(messages.filter((message) => /^epoch \d+ of /.test(message))).toHaveLength(2);
  });

  it('trains on the precision that "auto" is here, that is asked for, or that an earlier attempt had, and notes it', async () => {
    const precisionOf = ({ files, resolved }: Awaited<ReturnType<typeof run>>) => {
      const noted = JSON.parse(files['weft.json'].toString()).base_precision;
      expect(resolved!.method.base_precision).toBe(noted);
      return noted;
    };
    const here = await run({ changes: () => ({ auto_precision: 'nf4' }) });
    expect(precisionOf(here)).toBe('nf4');
    const asked = await run({
      changes: ({ method }) => ({ auto_precision: 'nf4', method: { ...method, base_precision: 'fp32' } }),
    });
    expect(precisionOf(asked)).toBe('fp32');
    const again = await run({ changes: () => ({ auto_precision: 'fp32', resolved: here.resolved! }) });
    expect(precisionOf(again)).toBe('nf4');
    expect(again.files).toEqual(here.files);
    expect(asked.files['adapter_model.safetensors']).not.toEqual(here.files['adapter_model.safetensors']);
  });

  it('validates on a file of its own', async () => {
    const { done } = await run({ validation: toyTexts(10, 2) });
    expect(done.metrics!.validation.examples).toBe(10);
  });

  it('has no metrics where too few rows are left to set aside', async () => {
    const { done } = await run({ rows: toyTexts(8, 1) });
    expect(done.metrics).toBeNull();
  });

  it('says what its temperature does to the scores', async () => {
    const { done, events } = await run();
    const { loss, ece } = done.metrics!.validation;
    const [calibrated] = events.filter(({ message }) =>
      message.includes(' is kept; scores calibrated on 12'),
    );
    expect(calibrated).toMatchObject({ level: 'info', type: 'message', data: { loss, ece } });
    expect(calibrated!.message).toMatch(`epoch ${calibrated!.data!.kept_epoch} is kept`);
    expect(calibrated!.data!.uncalibrated_loss).toBeGreaterThan(loss);
  });

  it('of few rows, thoroughly, trains five times, and validates all rows', async () => {
    const { done, messages, resolved } = await run({
      changes: ({ hyperparameters }) => ({
        aims: { effort: 'thorough', metric: 'f1' },
        hyperparameters: { ...hyperparameters, epochs: 2 },
      }),
    });
    expect(messages.filter((message) => message.startsWith('trains 5 times'))).toHaveLength(1);
    const epochs = messages.flatMap(
      (message) => /^training (\d of 5, epoch \d) of 2:/.exec(message)?.[1] ?? [],
    );
    expect(epochs).toEqual(
      [1, 2, 3, 4, 5].flatMap((fold) => [1, 2].map((epoch) => `${fold} of 5, epoch ${epoch}`)),
    );
    expect(messages.some((message) => message.startsWith('epochs 2, 2, 2, 2, 2 are kept'))).toBe(true);
    expect(done.metrics!.validation.examples).toBe(60);
    expect(resolved!.hyperparameters.epochs).toBe(2);
  });

  it('says when it diverges, and goes on', async () => {
    const { events, done } = await run({
      rows: toyTexts(300, 1),
      changes: ({ method, hyperparameters }) => ({
        method: { ...method, target_modules: ['query', 'value'] },
        hyperparameters: { ...hyperparameters, learning_rate: 1, max_grad_norm: 1000 },
      }),
    });
    const said = events.filter(({ message }) => message.startsWith('training diverged at step'));
    expect(said).toMatchObject([{ level: 'warn', data: { epoch: 0, learning_rate: 0.1 } }]);
    expect(said[0]!.message).toContain('it starts over with learning_rate 0.1 instead of 1');
    expect(done.manifest).toHaveLength(3);
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
      { changes: () => ({ method: peftRequest.parse({ type: 'lora', target_modules: ['querry'] }) }) },
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

  it('refuses a network that the prompt is trained through, where a node lacks the memory for it', async () => {
    const memory = vi.spyOn(process, 'availableMemory').mockReturnValue(1024 * 1024);
    const pTuning = (encoder_hidden_size: number): Job => ({
      changes: () => ({
        method: peftRequest.parse({ type: 'p_tuning', encoder_hidden_size }),
        hyperparameters: hyperparametersRequest.parse({ epochs: 1 }),
      }),
    });
    await expect(run(pTuning(1024))).rejects.toMatchObject({
      code: 'no_capacity',
      message: expect.stringMatching(
        /^training 1116\d{3} weights takes some \d+ MiB of memory .* 1 MiB free/,
      ),
    });
    await expect(run(pTuning(8))).resolves.toBeDefined();
    memory.mockRestore();
  });

  it('stops where it is told to before it trains', async () => {
    await expect(run({ signal: AbortSignal.abort(new Error('cancelled')) })).rejects.toThrow('cancelled');
  });
});

describe('what is odd about a dataset', () => {
  const warningsOf = async (job: Job) => {
    const { events } = await run({
      ...job,
      changes: ({ hyperparameters }) => ({
        hyperparameters: { ...hyperparameters, epochs: 1, max_length: 64 },
      }),
    });
    // One epoch may well leave a label unlearned, which is another warning.
    return events.filter(({ data }) => ![undefined, 'never_predicted'].includes(data?.warning as string));
  };
  const training = toyTexts(60, 1);
  const validation = toyTexts(60, 2).map(({ text, label }, i) => ({ text: `${text} ${i}`, label }));
  const money = (text: string): Example => ({ text, label: 'money' });
  const long = money('money '.repeat(100));

  it.each<[string, Job, Record<string, unknown>]>([
    [
      'a few texts are cut',
      { rows: [...training, long], validation },
      { level: 'info', data: { warning: 'truncated_texts', truncated: 1, texts: 121, max_length: 64 } },
    ],
    [
      'most texts are cut',
      {
        rows: training.map(({ text, label }) => ({ text: `${text} `.repeat(30), label })),
        validation: validation.slice(0, 50),
      },
      { level: 'warn', data: { warning: 'truncated_texts', truncated: 60, texts: 110 } },
    ],
    ['nothing validates it', { rows: toyTexts(8, 1) }, { level: 'warn', data: { warning: 'no_validation' } }],
    [
      'little validates it',
      { rows: training, validation: validation.slice(0, 25) },
      { level: 'warn', data: { warning: 'few_validation_rows', rows: 25, standard_error: 0.1 } },
    ],
    [
      'it is validated on one label',
      { rows: training, validation: Array.from({ length: 50 }, (_, i) => money(`offer ${i}`)) },
      {
        message: 'every validation row has the label "money": the metrics say little',
        data: { warning: 'missing_validation_labels', labels: 2, present: 1 },
      },
    ],
    [
      'a label is not validated',
      { rows: [...training, { text: 'rain', label: 'weather' }], validation },
      {
        message: '1 of 3 labels have no validation row',
        data: { warning: 'missing_validation_labels', labels: 3, present: 2 },
      },
    ],
    [
      'it is validated on what it was trained on',
      { rows: training, validation: [...validation, ...training.slice(0, 3)] },
      { level: 'warn', data: { warning: 'validation_rows_in_training', repeated: 3, rows: 63 } },
    ],
    [
      'labels contradict each other',
      { rows: [...training, money('a fox'), { text: 'a fox', label: 'animal' }], validation },
      {
        message: '1 text has more than one label, in 2 rows: no classifier is right about all of them',
        data: { warning: 'contradicting_labels', texts: 1, rows: 2 },
      },
    ],
    [
      'labels look alike',
      {
        rows: [
          ...training,
          ...['Money', 'Money', 'mon\u200bey'].map((label, i) => ({ text: `a gold ${i}`, label })),
        ],
        validation: [
          ...validation,
          { text: 'silver', label: 'Money' },
          { text: 'tin', label: 'mon\u200bey' },
        ],
      },
      {
        level: 'warn',
        message:
          '"Money" (3 rows), "money" (60 rows), "mon\\u200bey" (2 rows): these labels look alike, and are kept apart',
        data: { warning: 'similar_labels', groups: 1 },
      },
    ],
  ])('is said where %s', async (_, job, expected) => {
    expect(await warningsOf(job)).toMatchObject([expected]);
  });

  it('is nothing where it is in order', async () => {
    expect(await warningsOf({ rows: training, validation })).toEqual([]);
  });
});
