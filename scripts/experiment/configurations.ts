import {
  BASE_PRECISIONS,
  type HyperparametersRequest,
  hyperparametersRequest,
  type PeftRequest,
  peftConfig,
  peftRequest,
} from '../../shared/peft-config.ts';
import { type TrainingAims, trainingAims } from '../../shared/training-aims.ts';

export const ENGINE_NAMES = ['weft', 'peft', 'logistic'] as const;
/** The trainer: the platform, HF PEFT on torch, or scikit-learn's logistic regression on the base model's embeddings. */
export type EngineName = (typeof ENGINE_NAMES)[number];

type Fields = Readonly<Record<string, unknown>>;

/** The given fields of a request; every other field is `"auto"`. */
export interface Settings {
  readonly method: Fields;
  readonly hyperparameters: Fields;
  readonly aims?: Fields;
  /** Settings that only a peer has. */
  readonly peer?: Fields;
}

/** A row of the tables. */
export interface Configuration {
  readonly name: string;
  readonly title: string;
  readonly engine: EngineName;
  readonly settings: Settings;
}

const AUTO: Settings = { method: {}, hyperparameters: {} };
const LORA = {
  r: 8,
  alpha: 16,
  dropout: 0.1,
  use_rslora: false,
  use_dora: false,
  target_modules: ['query', 'value'],
};
const USUAL = {
  epochs: 5,
  batch_size: 32,
  learning_rate: 1e-3,
  max_length: 256,
  warmup_ratio: 0.06,
  weight_decay: 0.01,
  max_grad_norm: 1,
  class_weights: 'none',
};
const PUBLISHED_LORA = { ...LORA, r: 64 };
const PUBLISHED_TRAINING = {
  ...USUAL,
  batch_size: 64,
  max_length: 128,
  warmup_ratio: 0.03,
  weight_decay: 0.001,
  max_grad_norm: 0.3,
};

/** The method of a request that names none. */
const DEFAULT_METHOD = 'lora';

/** Every method with all its fields `"auto"`, trained once, the default method first. */
export const METHODS: readonly Configuration[] = peftConfig.options.map(({ shape }) => {
  const type = shape.type.value;
  const settings = {
    ...AUTO,
    ...(type !== DEFAULT_METHOD && { method: { type } }),
    aims: { effort: 'fast' },
  };
  return { name: `auto-${type}`, title: `Weft, ${type}`, engine: 'weft', settings };
});

export const CONFIGURATIONS: readonly Configuration[] = [
  { name: 'auto', title: 'Weft, everything "auto"', engine: 'weft', settings: AUTO },
  {
    name: 'lora',
    title: 'Weft, LoRA r 8, mean pooling, 5 epochs',
    engine: 'weft',
    settings: { method: { ...LORA, pooling: 'mean', base_precision: 'fp32' }, hyperparameters: USUAL },
  },
  {
    name: 'published',
    title: 'Weft, the published settings, linear decay',
    engine: 'weft',
    settings: {
      method: { ...PUBLISHED_LORA, pooling: 'cls', base_precision: 'fp32' },
      hyperparameters: PUBLISHED_TRAINING,
    },
  },
  {
    name: 'peft',
    title: 'HF PEFT, LoRA r 8, its own head (pooler), 5 epochs',
    engine: 'peft',
    settings: { method: { ...LORA, pooling: 'cls' }, hyperparameters: USUAL, peer: { schedule: 'linear' } },
  },
  {
    name: 'peft-mean',
    title: 'HF PEFT, LoRA r 8, mean pooling, 5 epochs',
    engine: 'peft',
    settings: { method: { ...LORA, pooling: 'mean' }, hyperparameters: USUAL, peer: { schedule: 'linear' } },
  },
  {
    name: 'peft-published',
    title: 'HF PEFT, the published settings',
    engine: 'peft',
    settings: {
      method: { ...PUBLISHED_LORA, pooling: 'cls' },
      hyperparameters: PUBLISHED_TRAINING,
      peer: { schedule: 'constant' },
    },
  },
  {
    name: 'logistic',
    title: 'logistic regression on mean embeddings',
    engine: 'logistic',
    settings: { ...AUTO, peer: { normalized: false } },
  },
  {
    name: 'logistic-normalized',
    title: 'logistic regression on mean embeddings of length 1',
    engine: 'logistic',
    settings: { ...AUTO, peer: { normalized: true } },
  },
  ...METHODS,
];

/** Values that an ablation tries for each field while the others keep their centre's. The centre's own value is added if it is missing. */
export const FACTORS: Readonly<Record<string, readonly unknown[]>> = {
  max_length: [32, 64, 128, 256],
  learning_rate: [1e-4, 3e-4, 1e-3, 3e-3],
  batch_size: [8, 16, 32, 64],
  max_grad_norm: [0.1, 0.3, 1, 1000],
  r: [2, 8, 16, 64],
  base_precision: BASE_PRECISIONS,
  target_modules: [['query', 'value'], 'all-linear'],
  pooling: ['mean', 'cls'],
  epochs: [2, 5, 8, 12],
};

const METHOD_FIELDS = peftConfig.options.flatMap(({ shape }) => Object.keys(shape));
const HYPERPARAMETER_FIELDS = Object.keys(hyperparametersRequest.shape);

/** The requests of a job with these settings. @throws naming the field whose value a request may not have */
export function requestOf(settings: Settings): {
  method: PeftRequest;
  hyperparameters: HyperparametersRequest;
  aims: TrainingAims;
} {
  const method = peftRequest.safeParse({ type: DEFAULT_METHOD, ...settings.method });
  const hyperparameters = hyperparametersRequest.safeParse(settings.hyperparameters);
  const aims = trainingAims.safeParse(settings.aims ?? {});
  const issue = method.error?.issues[0] ?? hyperparameters.error?.issues[0] ?? aims.error?.issues[0];
  if (issue) throw new Error(`${issue.path.join('.')}: ${issue.message}`);
  return { method: method.data!, hyperparameters: hyperparameters.data!, aims: aims.data! };
}

/** The same configuration with a field changed. @throws where neither a method nor the hyperparameters have it */
export function withField(settings: Settings, field: string, value: unknown): Settings {
  if (METHOD_FIELDS.includes(field)) {
    return { ...settings, method: { ...settings.method, [field]: value } };
  }
  if (HYPERPARAMETER_FIELDS.includes(field)) {
    return { ...settings, hyperparameters: { ...settings.hyperparameters, [field]: value } };
  }
  if (field in trainingAims.shape) return { ...settings, aims: { ...settings.aims, [field]: value } };
  const known = [
    ...new Set([...METHOD_FIELDS, ...HYPERPARAMETER_FIELDS, ...Object.keys(trainingAims.shape)]),
  ].join(', ');
  throw new Error(`${field} is no setting; these are: ${known}`);
}

/** The given value of a field; undefined if it is `"auto"`. */
export function fieldOf(settings: Settings, field: string): unknown {
  return settings.method[field] ?? settings.hyperparameters[field] ?? settings.aims?.[field];
}

/** A value in the form of command lines and tables. */
export function shownValue(value: unknown): string {
  return Array.isArray(value) ? value.join('+') : String(value);
}

/** Parses a configuration `NAME: field=value field=value`; all other fields are `"auto"`, and modules are joined by "+". */
export function parseVariant(text: string): Configuration {
  const [, name, given] = /^\s*([\w.-]+)\s*:(.*)$/s.exec(text) ?? [];
  if (name === undefined || given === undefined) {
    throw new Error(`--variant ${JSON.stringify(text)}: it is written "NAME: field=value field=value"`);
  }
  const pairs = given.split(/\s+/).filter((pair) => pair !== '');
  try {
    const settings = pairs.reduce((sum, pair) => {
      const [field = '', value = ''] = pair.split('=', 2);
      return withField(sum, field, parseValue(field, value));
    }, AUTO);
    requestOf(settings);
    return { name, title: `Weft, ${pairs.join(' ') || '"auto"'}`, engine: 'weft', settings };
  } catch (cause) {
    throw new Error(`--variant ${name}: ${(cause as Error).message}`, { cause });
  }
}

function parseValue(field: string, value: string): unknown {
  if (field.endsWith('_modules') && value !== 'all-linear') return value.split('+');
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** One configuration in each of the precisions. A peer trains only in fp32 and is returned unchanged. */
export function onPrecisions(
  configuration: Configuration,
  precisions: readonly string[],
): readonly Configuration[] {
  if (configuration.engine !== 'weft') return [configuration];
  return precisions.map((precision) => ({
    ...configuration,
    name: `${configuration.name}-${precision}`,
    title: `${configuration.title}, ${precision}`,
    settings: withField(configuration.settings, 'base_precision', precision),
  }));
}
