import { describe, expect, it } from 'vitest';
import { displayName, parseDisposition } from '../../../../edge/upload/disposition.ts';

describe('parseDisposition', () => {
  it.each([
    ['form-data; name="file"; filename="a.csv"', 'file', 'a.csv'],
    ['form-data; name=file; filename=a.csv', 'file', 'a.csv'],
    [' form-data; filename="x;name=y"; name="file"', 'file', 'x;name=y'],
    ['form-data; name="file"; filename="a\\"b.csv"', 'file', 'a"b.csv'],
    ['form-data; name="file"; filename="a%22b%0D%0A.csv"', 'file', 'a"b\r\n.csv'],
    ['form-data; name="file"; filename*=UTF-8\'\'na%C3%AFve.csv', 'file', 'naïve.csv'],
    ['form-data; name="file"; filename="x"; filename*=UTF-8\'\'%FF', 'file', 'x'],
    ['form-data', undefined, undefined],
    ['attachment; name="file"', undefined, undefined],
    ['', undefined, undefined],
  ])('reads %s', (header, name, filename) => {
    expect(parseDisposition(header)).toEqual({ name, filename });
  });
});

describe('displayName', () => {
  it.each([
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\a\\data.csv', 'data.csv'],
    ['a\u0000b\r\n.csv', 'ab.csv'],
    ['..', '..'],
    ['', 'file'],
    ['dir/', 'file'],
    ['😀'.repeat(300), '😀'.repeat(255)],
  ])('shows %j as %j', (given, shown) => {
    expect(displayName(given)).toBe(shown);
  });
});
