/**
 * Bundles the command line, libraries included, into one file that any Node 22 runs, because Node strips no types below node_modules. It
 * lies with the libraries' licences in `dist`, or the folder given.
 */
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const FOLDER = import.meta.dirname;
const ROOT = resolve(FOLDER, '..');
const target = resolve(process.argv[2] ?? join(FOLDER, 'dist'));

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
const { metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: [join(FOLDER, 'installed.ts')],
  outfile: join(target, 'weft.js'),
  bundle: true,
  minify: true,
  metafile: true,
  platform: 'node',
  format: 'esm',
  target: 'node22.12',
  banner: {
    // Libraries that are CommonJS require Node's modules.
    js: "#!/usr/bin/env node\nimport { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
await copyFile(join(ROOT, 'LICENSE'), join(target, 'LICENSE'));
await writeFile(join(target, 'LICENSES-OF-LIBRARIES'), await licences(Object.keys(metafile.inputs)));

/** The licence texts of all libraries among the bundle's inputs. */
async function licences(inputs: readonly string[]): Promise<string> {
  const names = inputs.map((input) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[0]);
  const folders = [...new Set(names.filter((name) => name !== undefined))].sort();
  const texts = folders.map(async (folder) => {
    const file = (await readdir(join(ROOT, folder))).find((name) => /^licen[cs]e/i.test(name));
    if (!file) throw new Error(`${folder} has no licence file`);
    return `${folder.replace(/.*node_modules\//, '')}\n\n${await readFile(join(ROOT, folder, file), 'utf8')}`;
  });
  return (await Promise.all(texts)).join(`\n${'='.repeat(80)}\n\n`);
}
