import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { withFolder } from '../../support/tiny-bert.ts';

const READER = fileURLToPath(new URL('../../support/read-large-dataset.ts', import.meta.url));
const ROWS = 100_000;
/** Characters of a text beyond what its tokens are made of: the texts together have 100 MB. */
const PADDING = ' '.repeat(1000);
/** Megabytes of JavaScript's heap. */
const HEAP = 40;

function* lines() {
  for (let i = 0; i < ROWS; i++) {
    yield `{"text":"the fox jumps ${i}${PADDING}","label":"${i % 3}"}\n`;
  }
}

it('trains on texts that are together larger than the memory it has', () =>
  withFolder(async (folder) => {
    await pipeline(Readable.from(lines()), createWriteStream(join(folder, 'dataset.jsonl')));
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--expose-gc',
      `--max-old-space-size=${HEAP}`,
      READER,
      folder,
    ]);
    const { trained, ids, stored, arrayBuffers } = JSON.parse(stdout);
    expect(trained).toBe(ROWS);
    expect(ids).toBe(stored);
    expect(arrayBuffers / ROWS).toBeLessThan(64);
  }));
