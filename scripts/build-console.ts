/** Builds the console into the folder of the Worker's static assets, which `wrangler.toml` names. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const CONSOLE = fileURLToPath(new URL('../console/', import.meta.url));
/** `assets.directory` of `wrangler.toml`; an asset's place in it is its path in an address. */
export const ASSETS_FOLDER = fileURLToPath(new URL('../dist/assets/', import.meta.url));

/** Writes the page, its script and its style. A file that would not change stays, so builds may run beside each other. */
export async function buildConsole(): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [join(CONSOLE, 'main.tsx')],
    outdir: join(ASSETS_FOLDER, 'console/assets'),
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    logLevel: 'error',
  });
  const copies = [
    {
      path: join(ASSETS_FOLDER, 'console/index.html'),
      contents: await readFile(join(CONSOLE, 'index.html')),
    },
    {
      path: join(ASSETS_FOLDER, 'console/assets/icon.svg'),
      contents: await readFile(join(CONSOLE, 'icon.svg')),
    },
  ];
  for (const { path, contents } of [...outputFiles, ...copies]) await replace(path, contents);
}

async function replace(path: string, contents: Uint8Array): Promise<void> {
  const there = await readFile(path).catch(() => undefined);
  if (there?.equals(contents)) return;
  await mkdir(dirname(path), { recursive: true });
  const written = `${path}.${process.pid}`;
  await writeFile(written, contents);
  await rename(written, path);
}

if (import.meta.main) await buildConsole();
