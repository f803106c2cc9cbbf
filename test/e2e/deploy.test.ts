import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { withFolder } from '../support/tiny-bert.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js');

it('can be deployed to Cloudflare as it is', async () => {
  await withFolder(async (folder) => {
    const args = [WRANGLER, 'deploy', '--dry-run', '--outdir', folder];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
    expect(stdout).toContain('env.DB (weft)');
    expect(stdout).toContain('env.BUCKET (weft)');
    expect(await readdir(folder)).toContain('index.js');
  });
});
