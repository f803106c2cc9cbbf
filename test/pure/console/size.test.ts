import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { ASSETS_FOLDER, buildConsole } from '../../../scripts/build-console.ts';

it('the console stays below 120 KB gzipped, page, script, style and icon together', async () => {
  await buildConsole();
  const files = globSync('console/**/*.{html,js,css,svg}', { cwd: ASSETS_FOLDER });
  expect(files).toHaveLength(4);
  const bytes = files.map((file) => gzipSync(readFileSync(join(ASSETS_FOLDER, file))).length);
  expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThan(120_000);
});
