import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createTokenizer, loadTokenizer } from '../../../gpu-node/data/tokenizer.ts';

const FOLDER = 'test/fixtures/tokenizer';
const file = readFileSync(`${FOLDER}/tokenizer.json`, 'utf8');
const tokenizer = createTokenizer(file, 'fixture');
const cases = JSON.parse(readFileSync(`${FOLDER}/expected.json`, 'utf8')) as {
  text: string;
  ids: number[];
  first_8: number[];
}[];

interface Fixture {
  added_tokens: { id: number }[];
  normalizer: unknown;
  post_processor: unknown;
  model: { vocab: Record<string, number> } | number;
}
const { vocab } = (JSON.parse(file) as { model: { vocab: Record<string, number> } }).model;

/** The fixture with its parsed JSON changed. */
function changed(change: (json: Fixture) => void) {
  const json = JSON.parse(file) as Fixture;
  change(json);
  return JSON.stringify(json);
}

describe("BERT's tokenizer", () => {
  it.each(cases)('makes of $text what the Rust library makes of it', ({ text, ids, first_8 }) => {
    const whole = tokenizer.encode(text, 10_000);
    expect([...whole.ids]).toEqual(ids);
    expect(whole.truncated).toBe(false);
    const cut = tokenizer.encode(text, 8);
    expect([...cut.ids]).toEqual(first_8);
    expect(cut.truncated).toBe(ids.length > 8);
  });

  it('says nothing was cut off where only blanks follow', () => {
    const { ids } = tokenizer.encode('hello world', 512);
    expect(tokenizer.encode(`hello world ${' \u200b\n'.repeat(1000)}`, ids.length).truncated).toBe(false);
    expect(tokenizer.encode(`hello world ${' '.repeat(1000)}!`, ids.length).truncated).toBe(true);
  });

  it('reads of a very long text what it keeps', () => {
    const whole = [
      'a',
      'ab ',
      '中',
      '☃ ',
      `${'z'.repeat(98)}☃ `,
      '[',
      '[SEP]',
      'a\u0301',
      ' ',
      '\u0301',
      '😀',
    ];
    for (const text of whole.map((part) => part.repeat(300_000 / part.length))) {
      const few = tokenizer.encode(text.slice(0, 60_000), 128);
      expect(tokenizer.encode(text, 128).ids).toEqual(few.ids);
    }
  });

  it('survives half a character', () => {
    expect(tokenizer.encode('\ud800hello\udc00', 16).ids).toEqual(tokenizer.encode('hello', 16).ids);
  });

  it('also puts its ids around a text where they are given as BertProcessing', () => {
    const bert = createTokenizer(
      changed((json) => {
        json.post_processor = {
          type: 'BertProcessing',
          sep: ['[SEP]', vocab['[SEP]']],
          cls: ['[CLS]', vocab['[CLS]']],
        };
      }),
      'fixture',
    );
    expect(bert.encode('hello', 16)).toEqual(tokenizer.encode('hello', 16));
  });

  it('is opened from a folder', async () => {
    const opened = await loadTokenizer(FOLDER, 'fixture');
    expect(opened.encode('hello', 16)).toEqual(tokenizer.encode('hello', 16));
  });
});

describe('a tokenizer of a kind there is not', () => {
  const supported = 'supported: WordPiece, BPE, Unigram';
  it.each<[string, (json: Fixture) => void, string]>([
    ['WordLevel', (json) => Object.assign(json, { model: { type: 'WordLevel' } }), supported],
    ['an inherited name', (json) => Object.assign(json, { model: { type: 'constructor' } }), supported],
    [
      'WordPiece behind another normalizer',
      (json) => Object.assign(json, { normalizer: { type: 'NFKC' } }),
      'normalizer.type: WordPiece is supported behind BertNormalizer alone',
    ],
    [
      'WordPiece behind another pre-tokenizer',
      (json) => Object.assign(json, { pre_tokenizer: { type: 'Whitespace' } }),
      'pre_tokenizer.type: WordPiece is supported behind BertPreTokenizer alone',
    ],
    [
      'an unknown post-processor',
      (json) => Object.assign(json, { post_processor: { type: 'ByteLevel' } }),
      'post_processor.type: its type must be TemplateProcessing, BertProcessing or RobertaProcessing',
    ],
  ])('is refused by name: %s', (_what, change, message) => {
    expect(() => createTokenizer(changed(change), 'tiny')).toThrow(message);
  });
});

describe('a tokenizer.json that is not one', () => {
  it.each([
    ['{', 'it is not JSON'],
    ['{}', 'added_tokens: '],
    [
      changed((json) => {
        json.added_tokens[0]!.id = -1;
      }),
      'added_tokens.0.id: ',
    ],
    [
      changed((json) => {
        json.model = 3;
      }),
      'model: ',
    ],
  ])('%.20s is refused', (text, message) => {
    expect(() => createTokenizer(text, 'tiny')).toThrow(`base model tiny: tokenizer.json: ${message}`);
  });
});
