import { stripVTControlCharacters } from 'node:util';

/** Text from a file or a server as one line for a terminal: it can neither move the cursor nor colour, break or reverse what follows. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, ' ');
}

/** The same, cut to `columns` characters. */
export function shortened(text: string, columns: number): string {
  const line = printable(text);
  const characters = Array.from(line.slice(0, 4 * columns));
  return characters.length <= columns ? line : `${characters.slice(0, columns - 1).join('')}…`;
}
