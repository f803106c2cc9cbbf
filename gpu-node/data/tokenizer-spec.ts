import { z } from 'zod';
import { AppError } from '../../shared/errors.ts';

const tokenId = z.int().nonnegative().max(0x7fffffff);

const addedToken = z.object({
  id: tokenId,
  content: z.string().min(1).max(256),
  single_word: z.boolean(),
  lstrip: z.boolean(),
  rstrip: z.boolean(),
  normalized: z.boolean(),
});

/** The common part of every tokenizer.json; each kind reads its own rest. */
const tokenizerFile = z.object({
  added_tokens: z.array(addedToken).max(100_000),
  post_processor: z.unknown(),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  model: z.object({ type: z.string() }).loose(),
});
export type TokenizerFile = z.infer<typeof tokenizerFile>;

/** The settings of a BERT tokenizer. */
export interface WordPieceSpec {
  vocab: ReadonlyMap<string, number>;
  unknownId: number;
  continuingPrefix: string;
  /** Characters beyond which a word is unknown as a whole. */
  maxWordChars: number;
  cleanText: boolean;
  chineseChars: boolean;
  stripAccents: boolean;
  lowercase: boolean;
  addedTokens: ReadonlyMap<string, number>;
}

/** Ids before and after every text. */
export interface Surroundings {
  prefix: readonly number[];
  suffix: readonly number[];
}

const bertNormalizer = z.object({
  type: z.literal('BertNormalizer', 'WordPiece is supported behind BertNormalizer alone'),
  clean_text: z.boolean(),
  handle_chinese_chars: z.boolean(),
  strip_accents: z.boolean().nullable(),
  lowercase: z.boolean(),
});

const wordPieceModel = z.object({
  type: z.literal('WordPiece'),
  unk_token: z.string(),
  continuing_subword_prefix: z.string().min(1),
  max_input_chars_per_word: z.int().min(1).max(10_000),
  vocab: z.record(z.string(), tokenId),
});

const asWritten = z.object({
  content: z.string(),
  id: tokenId,
  single_word: z.literal(false),
  lstrip: z.literal(false),
  rstrip: z.literal(false),
  normalized: z.literal(false),
});

/** A tokenizer.json of BERT's kind. */
export const wordPieceFile = z
  .object({
    normalizer: bertNormalizer,
    pre_tokenizer: z.object({
      type: z.literal('BertPreTokenizer', 'WordPiece is supported behind BertPreTokenizer alone'),
    }),
    added_tokens: z.array(asWritten),
    model: wordPieceModel.refine(({ vocab, unk_token }) => Object.hasOwn(vocab, unk_token), {
      path: ['unk_token'],
      message: 'is no piece of the vocabulary',
    }),
  })
  .transform(
    ({ normalizer, model, added_tokens }): WordPieceSpec => ({
      vocab: new Map(Object.entries(model.vocab)),
      unknownId: model.vocab[model.unk_token]!,
      continuingPrefix: model.continuing_subword_prefix,
      maxWordChars: model.max_input_chars_per_word,
      cleanText: normalizer.clean_text,
      chineseChars: normalizer.handle_chinese_chars,
      stripAccents: normalizer.strip_accents ?? normalizer.lowercase,
      lowercase: normalizer.lowercase,
      addedTokens: new Map(added_tokens.map(({ content, id }) => [content, id])),
    }),
  );

const templatePiece = z.union([
  z.object({ SpecialToken: z.object({ id: z.string(), type_id: z.literal(0) }) }),
  z.object({ Sequence: z.object({ id: z.literal('A'), type_id: z.literal(0) }) }),
]);
const templateProcessing = z.object({
  type: z.literal('TemplateProcessing'),
  single: z
    .array(templatePiece)
    .refine((pieces) => pieces.filter((piece) => 'Sequence' in piece).length === 1, 'holds the text once'),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(tokenId) })),
});
const namedToken = z.tuple([z.string(), tokenId]);
const clsAndSep = z.object({
  type: z.enum(['BertProcessing', 'RobertaProcessing']),
  cls: namedToken,
  sep: namedToken,
});
const postProcessor = z.discriminatedUnion('type', [templateProcessing, clsAndSep], {
  error: 'its type must be TemplateProcessing, BertProcessing or RobertaProcessing',
});

/** The special tokens that a post-processor puts around a single text. */
export const surroundingsFile = z
  .object({ post_processor: postProcessor })
  .transform(({ post_processor: around }): Surroundings => {
    if (around.type !== 'TemplateProcessing') return { prefix: [around.cls[1]], suffix: [around.sep[1]] };
    const { single, special_tokens } = around;
    const idsOf = (pieces: typeof single) =>
      pieces.flatMap((piece) =>
        'SpecialToken' in piece ? (special_tokens[piece.SpecialToken.id]?.ids ?? []) : [],
      );
    const middle = single.findIndex((piece) => 'Sequence' in piece);
    return { prefix: idsOf(single.slice(0, middle)), suffix: idsOf(single.slice(middle + 1)) };
  });

/** Parses a tokenizer.json. `what` names the base model. @throws AppError naming the field that does not fit. */
export function parseTokenizerFile(text: string, what: string): TokenizerFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new AppError('internal_error', `base model ${what}: tokenizer.json: it is not JSON`, { cause });
  }
  return parsePart(tokenizerFile, json, what);
}

/** Reads the parts of a tokenizer.json that a schema names. @throws AppError naming the field that does not fit. */
export function parsePart<T>(schema: z.ZodType<T>, file: unknown, what: string): T {
  const parsed = schema.safeParse(file);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join('.').slice(0, 120);
  throw new AppError('internal_error', `base model ${what}: tokenizer.json: ${field}: ${issue?.message}`, {
    cause: parsed.error,
  });
}
