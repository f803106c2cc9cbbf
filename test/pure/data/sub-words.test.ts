import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createTokenizer } from '../../../gpu-node/data/tokenizer.ts';

interface Case {
  text: string;
  ids: number[];
  first_8: number[];
}

const KINDS = [
  ["RoBERTa's tokenizer", 'tiny-roberta'],
  ["XLM-RoBERTa's tokenizer", 'tiny-xlm-roberta'],
] as const;

const fileOf = (model: string) => readFileSync(`test/fixtures/${model}/tokenizer.json`, 'utf8');
const casesOf = (model: string) =>
  JSON.parse(readFileSync(`test/fixtures/${model}/tokens.json`, 'utf8')) as Case[];

describe.each(KINDS)('%s', (_name, model) => {
  const tokenizer = createTokenizer(fileOf(model), model);

  it.each(casesOf(model))('makes of $text what the Rust library makes of it', ({ text, ids, first_8 }) => {
    const whole = tokenizer.encode(text, 10_000);
    expect([...whole.ids]).toEqual(ids);
    expect(whole.truncated).toBe(false);
    const cut = tokenizer.encode(text, 8);
    expect([...cut.ids]).toEqual(first_8);
    expect(cut.truncated).toBe(ids.length > 8);
  });

  it('makes the same of a text again, from memory', () => {
    const [first] = casesOf(model);
    expect([...tokenizer.encode(first!.text, 100).ids]).toEqual(first!.ids);
  });

  it('reads of a very long text no more than it can keep', () => {
    for (const part of ['a', 'ab ', '中', '!', ' ', 'e\u0301', '👨‍👩‍👧', '<mask>', ' <mask> ', '\u0301']) {
      const { ids, truncated } = tokenizer.encode(part.repeat(400_000 / part.length), 128);
      expect(truncated, part).toBe(true);
      expect(ids.length, part).toBeLessThanOrEqual(128);
      expect([...ids.slice(0, 1), ...ids.slice(-1)], part).toEqual([0, 2]);
    }
  });

  it('reads half a character as the mark for what cannot be read', () => {
    expect(tokenizer.encode('a\ud800b\udc00', 32)).toEqual(tokenizer.encode('a\ufffdb\ufffd', 32));
  });

  it('leaves room for no token at all', () => {
    expect([...tokenizer.encode('hello', 2).ids]).toEqual([0, 2]);
  });
});

interface File {
  added_tokens: object[];
  normalizer: unknown;
  pre_tokenizer: unknown;
  post_processor: unknown;
  model: { vocab: unknown } & Record<string, unknown>;
}

/** The tokenizer of a fixture with its parsed JSON changed. */
function opened(model: string, change: (json: File) => void) {
  const json = JSON.parse(fileOf(model)) as File;
  change(json);
  return createTokenizer(JSON.stringify(json), 'tiny');
}

describe('added tokens', () => {
  /** A token whose id no piece has. */
  const added = (token: object) => {
    const tokenizer = opened('tiny-roberta', (json) => {
      const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
      json.added_tokens.push({ ...plain, id: 999, special: false, ...token });
    });
    return (text: string) => [...tokenizer.encode(text, 100).ids].slice(1, -1);
  };
  const plain = createTokenizer(fileOf('tiny-roberta'), 'tiny');
  const alone = (text: string) => [...plain.encode(text, 100).ids].slice(1, -1);

  it('are found within words, or only outside of them', () => {
    expect(added({ content: 'cat' })('a cat, cats')).toEqual([
      ...alone('a '),
      999,
      ...alone(', '),
      999,
      ...alone('s'),
    ]);
    const single = added({ content: 'cat', single_word: true });
    expect(single('a cat, cats')).toEqual([...alone('a '), 999, ...alone(', cats')]);
    expect(single('𝕳cat cat')).toEqual([...alone('𝕳cat '), 999]);
  });

  it('take the blanks beside them where they say so', () => {
    expect(added({ content: '[X]', rstrip: true })('a [X] \u2003b')).toEqual([
      ...alone('a '),
      999,
      ...alone('b'),
    ]);
    expect(added({ content: '[X]', lstrip: true })('a [X] b')).toEqual([...alone('a'), 999, ...alone(' b')]);
  });

  it('are the longest that fit', () => {
    const tokenizer = opened('tiny-roberta', (json) => {
      const plainToken = { single_word: false, lstrip: false, rstrip: false, normalized: false };
      json.added_tokens.push(
        { ...plainToken, id: 998, content: 'ca' },
        { ...plainToken, id: 999, content: 'cat' },
      );
    });
    expect([...tokenizer.encode('catca', 10).ids]).toEqual([0, 999, 998, 2]);
  });
});

describe('what a tokenizer.json says otherwise', () => {
  it('is followed: a blank before a text, and a word that is a piece as a whole', () => {
    const spaced = opened('tiny-roberta', (json) =>
      Object.assign(json.pre_tokenizer!, { add_prefix_space: true }),
    );
    const plain = createTokenizer(fileOf('tiny-roberta'), 'tiny');
    expect(spaced.encode('the fox', 50)).toEqual(plain.encode(' the fox', 50));
    const whole = opened('tiny-roberta', (json) => {
      json.model.ignore_merges = true;
      json.model.vocab = { ...(json.model.vocab as object), zyx: 777 };
    });
    expect([...whole.encode('zyx', 50).ids]).toEqual([0, 777, 2]);
  });

  it('is followed: merges written as one string', () => {
    const joined = opened('tiny-roberta', (json) => {
      json.model.merges = (json.model.merges as string[][]).map((merge) => merge.join(' '));
    });
    for (const { text, ids } of casesOf('tiny-roberta').slice(0, 20)) {
      expect([...joined.encode(text, 1000).ids]).toEqual(ids);
    }
  });

  it('is followed: older names of a setting, and Metaspace alone', () => {
    const older = opened('tiny-xlm-roberta', (json) => {
      const metaspace = { type: 'Metaspace', replacement: '▁', add_prefix_space: true };
      json.pre_tokenizer = { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, metaspace] };
    });
    for (const { text, ids } of casesOf('tiny-xlm-roberta').slice(0, 20)) {
      expect([...older.encode(text, 1000).ids]).toEqual(ids);
    }
    const alone = opened('tiny-xlm-roberta', (json) => {
      json.pre_tokenizer = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' };
    });
    expect(alone.encode('\u2581the fox', 50)).toEqual(older.encode('the fox', 50));
  });

  it.each<[string, string, (json: File) => void, string]>([
    [
      'BPE that is not of bytes',
      'tiny-roberta',
      (json) => Object.assign(json, { pre_tokenizer: { type: 'Whitespace' } }),
      'pre_tokenizer.type: BPE is supported behind ByteLevel alone',
    ],
    [
      'a normalizer there is not',
      'tiny-roberta',
      (json) => Object.assign(json, { normalizer: { type: 'Nmt' } }),
      'normalizer.type: its type must be NFC,',
    ],
    [
      'a regular expression',
      'tiny-roberta',
      (json) =>
        Object.assign(json, { normalizer: { type: 'Replace', pattern: { Regex: '(a+)+' }, content: '' } }),
      'normalizer.pattern',
    ],
    [
      'a byte without a piece',
      'tiny-roberta',
      (json) => {
        json.model = { ...json.model, vocab: { a: 0 }, merges: [] };
      },
      'vocab has no "Ā"',
    ],
    [
      'a merge into nothing',
      'tiny-roberta',
      (json) => {
        json.model.merges = [['Z', 'Z']];
      },
      'vocab has no "ZZ"',
    ],
    [
      'a merge of three',
      'tiny-roberta',
      (json) => {
        json.model.merges = ['a b c'];
      },
      'model.merges.0',
    ],
    [
      'Unigram behind another pre-tokenizer',
      'tiny-xlm-roberta',
      (json) => Object.assign(json, { pre_tokenizer: { type: 'Whitespace' } }),
      'pre_tokenizer: Unigram is supported behind Metaspace',
    ],
    [
      'bytes as a last resort',
      'tiny-xlm-roberta',
      (json) => Object.assign(json.model, { byte_fallback: true }),
      'model.byte_fallback',
    ],
    [
      'an unknown piece beyond the vocabulary',
      'tiny-xlm-roberta',
      (json) => Object.assign(json.model, { unk_id: 100_000 }),
      'model.unk_id: is no piece of the vocabulary',
    ],
    [
      'a broken character map',
      'tiny-xlm-roberta',
      (json) => Object.assign(json, { normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } }),
      'no character map',
    ],
  ])('is refused by name: %s', (_what, model, change, message) => {
    expect(() => opened(model, change)).toThrow(message);
  });
});
