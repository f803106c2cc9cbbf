import { z } from 'zod';
import { FAMILIES } from '../families.ts';
import type { TensorEntry } from '../safetensors.ts';
import { orAuto, pooling } from './fields.ts';
import { type AdapterFormat, tensor } from './format.ts';
import { type BaseShape, linearSides } from './places.ts';
import { fail } from './refusal.ts';

const FP32_ALONE = 'a full model is trained and served in fp32 alone';

/** Every weight of the base model is trained: what comes of it is a model of its own. */
export const fullConfig = z.strictObject({
  type: z.literal('full'),
  pooling,
  base_precision: z.literal('fp32'),
});
export type FullConfig = z.infer<typeof fullConfig>;
export const fullRequest = z
  .strictObject({
    type: z.literal('full'),
    ...orAuto({ pooling }),
    base_precision: z.enum(['auto', 'fp32'], FP32_ALONE).default('auto'),
  })
  .transform((request) => ({ ...request, base_precision: 'fp32' as const }));

/** A tensor of the encoder, by its name in transformers' classification model. */
export interface FullTarget {
  readonly name: string;
  readonly entry: TensorEntry;
}

/** The largest of the rates that Devlin et al. 2018 (arXiv:1810.04805) fine-tune BERT with. */
const LEARNING_RATE = 5e-5;

/** The tensors of a transformers model by its own names; what serves it takes it for a base model. */
export const fullFormat: AdapterFormat<FullConfig, object, FullTarget> = {
  layout: 'peft',
  peftType: 'FULL',
  learningRate: LEARNING_RATE,
  tensorTitle: 'tensor',
  wholeModel: true,
  keys: {},
  withoutEffect: [],
  parse: () => ({}),
  fileName: (name) => name,
  familyOf: ({ header, what }) => {
    const names = [...header.tensors.keys()];
    const family = Object.values(FAMILIES).find(({ root }) =>
      names.some((name) => name.startsWith(`${root}.`)),
    );
    const known = Object.values(FAMILIES).map(({ title }) => title);
    return family ?? fail(what, `it has tensors of none of the encoders there are: ${known.join(', ')}`);
  },
  targets: ({ header, what }, { root }) => {
    const named = [...header.tensors.values()].filter(({ name }) => name.startsWith(`${root}.`));
    return named.map(({ name, shape }) => ({ name, entry: tensor(header, name, shape.length, what) }));
  },
  tensorsOf: ({ name, entry }) => [
    { label: name, entry, needed: (base, what) => shapeOf(name, entry.shape, base, what) },
  ],
  gainsOf: ({ name, entry }, normOf) => [[name, normOf(entry)]],
  methodOf: () => ({ type: 'full' }),
  write: () => ({}),
};

/** How many rows tables of embeddings have, the edge does not know; a node does, and compares all names and shapes. */
function shapeOf(name: string, shape: readonly number[], base: BaseShape, what: string): readonly number[] {
  const [, module = name, kind] = /^(.+)\.(weight|bias)$/.exec(name) ?? [];
  if (/norm$/i.test(module)) return [base.hidden_size];
  if (module.endsWith('_embeddings')) return [shape[0] ?? 1, base.hidden_size];
  const [outFeatures, inFeatures] = kind === 'weight' ? shape : [shape[0]];
  const sides = linearSides(
    { module, inFeatures: inFeatures ?? 0, outFeatures: outFeatures ?? 0 },
    base,
    what,
  );
  return kind === 'weight' ? [sides[1], sides[0]] : [sides[1]];
}
