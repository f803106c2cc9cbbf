import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);
/** The tests' own Node is the first that is found, and npm asks no registry. */
const env = {
  ...process.env,
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
  npm_config_offline: 'true',
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft package '));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the command line', () => {
  it('runs from the clone', async () => {
    const { stdout } = await run('npx', ['weft', 'capabilities', '--json'], { cwd: ROOT, env });
    expect(JSON.parse(stdout).name).toBe('weft');
  });

  it('runs from what a plain npm pack packs, below node_modules', async () => {
    const modules = join(folder, 'plain/node_modules');
    await mkdir(modules, { recursive: true });
    await run('npm', ['pack', '--pack-destination', modules], { cwd: ROOT, env });
    const [tarball] = await readdir(modules);
    await run('tar', ['xzf', tarball!], { cwd: modules });
    await rename(join(modules, 'package'), join(modules, 'weft'));
    // Its dependencies come from a registry, where an installation has one.
    for (const name of await readdir(join(ROOT, 'node_modules'))) {
      await symlink(join(ROOT, 'node_modules', name), join(modules, name)).catch(() => {});
    }
    const { stdout, stderr } = await run(join(modules, 'weft/cli/weft.js'), ['capabilities', '--json'], {
      env,
    });
    expect([JSON.parse(stdout).name, stderr]).toEqual(['weft', '']);
  });

  it('is packed and installed in an empty folder, without a registry, and works there', async () => {
    await run('npm', ['run', 'pack', '--', '--pack-destination', folder], { cwd: ROOT, env });
    const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
    await run('npm', ['init', '--yes'], { cwd: folder, env });
    await run('npm', ['install', join(folder, tarball!)], { cwd: folder, env });
    expect((await readdir(join(folder, 'node_modules'))).filter((name) => !name.startsWith('.'))).toEqual([
      'weft',
    ]);
    const licences = await readFile(join(folder, 'node_modules/weft/dist/LICENSES-OF-LIBRARIES'), 'utf8');
    for (const library of ['commander', '@clack/prompts', 'zod'])
      expect(licences).toContain(`${library}\n\n`);
    await writeFile(join(folder, 'a.csv'), 'text,label\none,a\ntwo,b\n');
    const checked = await run('npx', ['weft', 'files', 'check', 'a.csv', '--json'], { cwd: folder, env });
    expect(JSON.parse(checked.stdout)).toMatchObject({ examples: 2, labels: { a: 1, b: 1 } });
    const up = run('npx', ['weft', 'up'], { cwd: folder, env });
    await expect(up).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('npm ci && npx weft up'),
    });
  });
});
