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

/** What of a tokenizer.json Weft reads itself; the library reads the rest where it is needed. */
const tokenizerFile = z.object({
  added_tokens: z.array(addedToken).max(100_000),
  normalizer: z.object({ type: z.string() }).loose().nullable(),
  pre_tokenizer: z.object({ type: z.string() }).loose().nullable(),
  post_processor: z.object({ type: z.string() }).loose().nullable(),
  model: z.object({ type: z.string() }).loose(),
});
export type TokenizerFile = z.infer<typeof tokenizerFile>;

/** The settings of a BERT tokenizer. */
export interface WordPieceSpec {
  vocab: ReadonlyMap<string, number>;
  unknownId: number;
  continuingPrefix: string;
  /** A longer word is unknown as a whole. */
  maxWordChars: number;
  cleanText: boolean;
  chineseChars: boolean;
  stripAccents: boolean;
  lowercase: boolean;
  addedTokens: ReadonlyMap<string, number>;
  /** Ids before and after every text. */
  prefix: readonly number[];
  suffix: readonly number[];
}

const bertNormalizer = z.object({
  clean_text: z.boolean(),
  handle_chinese_chars: z.boolean(),
  strip_accents: z.boolean().nullable(),
  lowercase: z.boolean(),
});

const wordPieceModel = z.object({
  unk_token: z.string(),
  continuing_subword_prefix: z.string().min(1),
  max_input_chars_per_word: z.int().min(1).max(10_000),
  vocab: z.record(z.string(), tokenId),
});

const templatePiece = z.union([
  z.object({ SpecialToken: z.object({ id: z.string(), type_id: z.literal(0) }) }),
  z.object({ Sequence: z.object({ id: z.literal('A'), type_id: z.literal(0) }) }),
]);
const templateProcessing = z.object({
  type: z.literal('TemplateProcessing'),
  single: z.array(templatePiece),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(tokenId) })),
});
const bertProcessing = z.object({
  type: z.literal('BertProcessing'),
  cls: z.tuple([z.string(), tokenId]),
  sep: z.tuple([z.string(), tokenId]),
});
const postProcessor = z.discriminatedUnion('type', [templateProcessing, bertProcessing]);

/** Parses a tokenizer.json. `what` names the base model. @throws AppError naming the field that does not fit. */
export function parseTokenizerFile(text: string, what: string): TokenizerFile {
  try {
    return tokenizerFile.parse(JSON.parse(text));
  } catch (cause) {
    const issue = cause instanceof z.ZodError ? cause.issues[0] : undefined;
    const reason = issue ? `${issue.path.join('.')}: ${issue.message}` : 'it is not JSON';
    throw new AppError('internal_error', `base model ${what}: tokenizer.json: ${reason}`, { cause });
  }
}

/** The settings of a BERT tokenizer, or undefined where the file describes another kind. */
export function wordPieceSpec(file: TokenizerFile): WordPieceSpec | undefined {
  const isBert =
    file.normalizer?.type === 'BertNormalizer' &&
    file.pre_tokenizer?.type === 'BertPreTokenizer' &&
    file.model.type === 'WordPiece' &&
    file.added_tokens.every(
      (token) => !token.normalized && !token.single_word && !token.lstrip && !token.rstrip,
    );
  if (!isBert) return undefined;
  const normalizer = bertNormalizer.safeParse(file.normalizer);
  const model = wordPieceModel.safeParse(file.model);
  const around = surroundings(file.post_processor);
  if (!normalizer.success || !model.success || !around) return undefined;
  const vocab = new Map(Object.entries(model.data.vocab));
  const unknownId = vocab.get(model.data.unk_token);
  if (unknownId === undefined) return undefined;
  return {
    vocab,
    unknownId,
    continuingPrefix: model.data.continuing_subword_prefix,
    maxWordChars: model.data.max_input_chars_per_word,
    cleanText: normalizer.data.clean_text,
    chineseChars: normalizer.data.handle_chinese_chars,
    stripAccents: normalizer.data.strip_accents ?? normalizer.data.lowercase,
    lowercase: normalizer.data.lowercase,
    addedTokens: new Map(file.added_tokens.map(({ content, id }) => [content, id])),
    ...around,
  };
}

/** The ids that a post-processor puts around a single text. */
function surroundings(value: unknown): Pick<WordPieceSpec, 'prefix' | 'suffix'> | undefined {
  const parsed = postProcessor.safeParse(value);
  if (!parsed.success) return undefined;
  if (parsed.data.type === 'BertProcessing') {
    return { prefix: [parsed.data.cls[1]], suffix: [parsed.data.sep[1]] };
  }
  const { single, special_tokens } = parsed.data;
  const middle = single.findIndex((piece) => 'Sequence' in piece);
  const idsOf = (pieces: typeof single) =>
    pieces.flatMap((piece) =>
      'SpecialToken' in piece ? (special_tokens[piece.SpecialToken.id]?.ids ?? []) : [],
    );
  if (middle < 0) return undefined;
  return { prefix: idsOf(single.slice(0, middle)), suffix: idsOf(single.slice(middle + 1)) };
}
