import { z } from 'zod';
import { CharacterMap } from './precompiled.ts';

export type Normalize = (text: string) => string;

const simple = [
  z.object({ type: z.enum(['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents']) }),
  z.object({
    type: z.literal('Replace'),
    // The only regular expression here is that of XLM-RoBERTa's files, because Rust's differ from JavaScript's.
    pattern: z.union([z.object({ String: z.string().min(1) }), z.object({ Regex: z.literal(' {2,}') })]),
    content: z.string().max(1024),
  }),
  z.object({ type: z.literal('Precompiled'), precompiled_charsmap: z.base64().max(16 * 1024 * 1024) }),
] as const;
const KNOWN = 'NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Replace, Precompiled or a Sequence of them';
const unknown = { error: `its type must be ${KNOWN}` };
const simpleNormalizer = z.discriminatedUnion('type', simple, unknown);

/** A `normalizer` of tokenizer.json, other than BERT's. */
export const normalizerSpec = z
  .discriminatedUnion(
    'type',
    [...simple, z.object({ type: z.literal('Sequence'), normalizers: z.array(simpleNormalizer).max(32) })],
    unknown,
  )
  .nullable();

/** The function of a normalizer. @throws {RangeError} for a broken character map */
export function normalizerOf(spec: z.infer<typeof normalizerSpec>): Normalize {
  if (spec === null) return (text) => text;
  if (spec.type !== 'Sequence') return simpleNormalizerOf(spec);
  const steps = spec.normalizers.map(simpleNormalizerOf);
  return (text) => steps.reduce((changed, step) => step(changed), text);
}

function simpleNormalizerOf(spec: z.infer<typeof simpleNormalizer>): Normalize {
  if (spec.type === 'Precompiled') {
    const map = new CharacterMap(spec.precompiled_charsmap);
    return (text) => map.normalize(text);
  }
  if (spec.type === 'Replace') {
    const searched = 'String' in spec.pattern ? spec.pattern.String : / {2,}/g;
    return (text) => text.replaceAll(searched, () => spec.content);
  }
  if (spec.type === 'StripAccents') return (text) => text.replace(/\p{M}/gu, '');
  // Upstream lowers one character at a time, so a sigma at the end of a word stays the usual letter.
  if (spec.type === 'Lowercase') return (text) => Array.from(text, (each) => each.toLowerCase()).join('');
  const { type } = spec;
  return (text) => text.normalize(type);
}
