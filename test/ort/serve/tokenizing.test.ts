import { afterAll, beforeAll, expect, it } from 'vitest';
import { Tokenizing } from '../../../gpu-node/serve/tokenizing.ts';
import { TINY_BERT } from '../../support/tiny-bert.ts';

let tokenizing: Tokenizing;
beforeAll(() => {
  const source = { id: 'tiny-bert', folder: TINY_BERT, sha256: '0'.repeat(64), weightsFolder: TINY_BERT };
  tokenizing = new Tokenizing([source], () => {});
});
afterAll(() => tokenizing.stop());

it('texts whose caller left before their turn are not tokenized, those behind them are', async () => {
  const answered: string[] = [];
  const tokenize = (tenant: string, signal: AbortSignal) =>
    tokenizing
      .tokenize(tenant, [{ base: 'tiny-bert', text: 'a text', maxLength: 16 }], signal)
      .then(() => answered.push(tenant));
  const [stays, leaves] = [new AbortController(), new AbortController()];
  const first = tokenize('first', stays.signal);
  void tokenize('gone', leaves.signal);
  const last = tokenize('last', stays.signal);
  leaves.abort();
  await Promise.all([first, last]);
  expect(answered).toEqual(['first', 'last']);
});
