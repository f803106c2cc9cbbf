import { z } from 'zod';
import type { ByteLevelBpeSpec } from './byte-level-bpe.ts';
import { normalizerOf, normalizerSpec } from './normalizers.ts';
import type { UnigramSpec } from './unigram.ts';

/** An absent value; some writers put null for it, some the empty string. */
const nothing = z.union([z.null(), z.literal('')], 'must be empty').optional();

const merge = z.union([
  z.tuple([z.string(), z.string()]),
  // A piece of a byte-level vocabulary holds no blank.
  z.string().transform((text, context): [string, string] => {
    const [left, right, ...more] = text.split(' ');
    if (left && right && more.length === 0) return [left, right];
    context.addIssue({ code: 'custom', message: 'a merge is two pieces with a blank between' });
    return z.NEVER;
  }),
]);

/** A tokenizer.json of RoBERTa's kind. */
export const byteLevelBpeFile = z
  .object({
    normalizer: normalizerSpec,
    pre_tokenizer: z.object({
      type: z.literal('ByteLevel', 'BPE is supported behind ByteLevel alone'),
      add_prefix_space: z.boolean(),
      use_regex: z.literal(true).default(true),
    }),
    model: z.object({
      type: z.literal('BPE'),
      dropout: z.null().optional(),
      continuing_subword_prefix: nothing,
      end_of_word_suffix: nothing,
      byte_fallback: z.literal(false).default(false),
      ignore_merges: z.boolean().default(false),
      vocab: z.record(z.string(), z.int().nonnegative()),
      merges: z.array(merge).max(4_000_000),
    }),
  })
  .transform(
    ({ normalizer, pre_tokenizer, model }): ByteLevelBpeSpec => ({
      vocab: new Map(Object.entries(model.vocab)),
      merges: model.merges,
      ignoreMerges: model.ignore_merges,
      addPrefixSpace: pre_tokenizer.add_prefix_space,
      normalize: normalizerOf(normalizer),
    }),
  );

const metaspace = z
  .object({
    type: z.literal('Metaspace'),
    replacement: z.string().min(1).max(8),
    prepend_scheme: z.enum(['always', 'never']).optional(),
    /** The older form of the same setting. */
    add_prefix_space: z.boolean().default(true),
    split: z.literal(true).default(true),
  })
  .transform(({ replacement, prepend_scheme, add_prefix_space }) => ({
    replacement,
    prepend: prepend_scheme ? prepend_scheme === 'always' : add_prefix_space,
  }));

/** A tokenizer.json of XLM-RoBERTa's kind. */
export const unigramFile = z
  .object({
    normalizer: normalizerSpec,
    pre_tokenizer: z.union(
      [
        metaspace.transform((each) => ({ metaspace: each, splitsAtSpace: false })),
        z
          .object({
            type: z.literal('Sequence'),
            pretokenizers: z.tuple([z.object({ type: z.literal('WhitespaceSplit') }), metaspace]),
          })
          .transform(({ pretokenizers }) => ({ metaspace: pretokenizers[1], splitsAtSpace: true })),
      ],
      'Unigram is supported behind Metaspace, alone or after WhitespaceSplit',
    ),
    model: z
      .object({
        type: z.literal('Unigram'),
        unk_id: z.int().nonnegative(),
        byte_fallback: z.literal(false).default(false),
        vocab: z
          .array(z.tuple([z.string(), z.number()]))
          .min(1)
          .max(4_000_000),
      })
      .refine(({ unk_id, vocab }) => unk_id < vocab.length, {
        path: ['unk_id'],
        message: 'is no piece of the vocabulary',
      }),
  })
  .transform(
    ({ normalizer, pre_tokenizer, model }): UnigramSpec => ({
      vocab: model.vocab,
      unknownId: model.unk_id,
      normalize: normalizerOf(normalizer),
      ...pre_tokenizer,
    }),
  );
