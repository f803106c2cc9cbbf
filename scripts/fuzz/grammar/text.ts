import type { Choices } from '../choices.ts';

const UNITS = [
  'a',
  ' ',
  'the',
  'un##aff',
  '[SEP]',
  '<mask>',
  '</s>',
  '##',
  'Straße',
  'İI',
  'Σς',
  'é',
  'e\u0301',
  '\u0301',
  '中',
  '한',
  '한',
  '\u200b',
  '\u200d',
  '\u00a0',
  '\u3000',
  '\u2028',
  '\ufeff',
  '\ufffd',
  '\u0000',
  '\u0007',
  '\r\n',
  '\t',
  "'s",
  "'LL",
  '12',
  '٣',
  'Ⅷ',
  '½',
  '👩‍👩‍👧',
  '🇩🇪',
  '😀',
  '\ud800',
  '\udc00',
  '𝔘',
  'ﬁ',
  'ﷺ',
  '▁',
  'Ġ',
  'z'.repeat(101),
  '-',
  '!?',
  '_',
  '‿',
  '\u{e0001}',
  '\u{10ffff}',
  'ÅÅ',
  'क्षि',
] as const;
/** Most UTF-16 code units of a text, as in a request. */
const MAX_TEXT = 1_000_000;

/** A text of units of all kinds; here and there one is repeated up to a megabyte. */
export function anyText(choices: Choices, maxUnits = 24): string {
  const units = choices.times(choices.below(maxUnits + 1), () => {
    const unit = choices.rarely(8) ? String.fromCodePoint(choices.below(0x110000)) : choices.pick(UNITS);
    const times = choices.rarely(12)
      ? choices.pick([2, 100, 5000, choices.rarely(8) ? MAX_TEXT : 20_000])
      : 1;
    return unit.repeat(Math.ceil(times / unit.length));
  });
  return units.join('').slice(0, MAX_TEXT);
}
