import { describe, expect, it } from 'vitest';
import { describeAlike, lookAlikes, lookOf } from '../../../shared/look-alike.ts';

describe('labels that look alike', () => {
  it.each([
    ['case', 'spam', 'SPAM'],
    ['case beyond ASCII', 'Straße', 'STRASSE'],
    ['the two small sigmas', 'ΟΔΟΣ', 'οδος'],
    ['composed accents', 'caf\u00e9', 'cafe\u0301'],
    ['the order of marks', 'e\u0323\u0302', 'e\u0302\u0323'],
    ['compatibility forms', 'ｓｐａｍ', 'spam'],
    ['a no-break blank', 'not spam', 'not\u00a0spam'],
    ['doubled blanks', 'not spam', 'not  spam'],
    ['a line end', 'not spam', 'not\nspam'],
    ['outer blanks', 'spam', ' spam '],
    ['a zero-width blank', 'spam', 'sp\u200bam'],
    ['a blank beside one of no width', 'a b', 'a \u200b b'],
    ['a byte order mark', 'spam', '\ufeffspam'],
    ['a soft hyphen', 'spam', 'sp\u00adam'],
    ['a direction mark', 'שלום', 'שלום\u200f'],
    ['a variation selector', '\u2764', '\u2764\ufe0f'],
    ['a control', 'spam', 'spam\u0000'],
  ])('differ only in %s', (_, a, b) => {
    expect(lookOf(a)).toBe(lookOf(b));
  });

  it.each([
    ['a letter', 'spam', 'spams'],
    ['an accent', 'resume', 'résumé'],
    ['a blank where the other has none', 'notspam', 'not spam'],
    ['a sign', 'c++', 'c'],
    ['a digit', '1', '01'],
  ])('do not differ in %s', (_, a, b) => {
    expect(lookOf(a)).not.toBe(lookOf(b));
  });

  it('come in groups, with the rows of each', () => {
    const groups = lookAlikes(
      new Map([
        ['a', 5],
        ['b', 1],
        ['A', 2],
        ['c', 1],
        ['B', 4],
      ]),
    );
    expect(groups).toEqual([
      [
        ['a', 5],
        ['A', 2],
      ],
      [
        ['b', 1],
        ['B', 4],
      ],
    ]);
    expect(describeAlike(groups[0]!)).toBe(
      '"a" (5 rows), "A" (2 rows): these labels look alike, and are kept apart',
    );
  });

  it('are shown short, whatever they hold', () => {
    const group = Array.from({ length: 200 }, (_, i) => [`${'\u200b'.repeat(256 - i)}a`, 1] as const);
    const said = describeAlike(group);
    expect(said).toContain('and 195 more');
    expect(said.length).toBeLessThan(600);
  });
});
