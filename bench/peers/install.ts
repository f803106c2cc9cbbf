import { access, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { runCommand } from '../../scripts/parity/python.ts';
import type { WrittenAdapter } from '../serve/adapters.ts';
import type { Bench } from '../serve/bench.ts';

/** The newest release at the time of writing, with the same onnxruntime as Weft. */
const TRANSFORMERS_JS = '@huggingface/transformers@4.3.1';
/** Packages that export the model; torch comes from the given Python. */
const EXPORTERS = ['onnx==1.23.2', 'onnxruntime==1.32.0'];
const EXPORT = join(import.meta.dirname, 'export_onnx.py');

/**
 * Installs transformers.js into the folder of peers, unless it is there, and writes the base model with this adapter merged into it beside
 * it, in the form that transformers.js reads. Returns that model's folder. transformers.js is no dependency of the project.
 */
export async function installTransformersJs(
  { peers, python, source }: Bench,
  { bundle, folder }: WrittenAdapter,
): Promise<string> {
  if (!(await exists(join(peers, 'node_modules', '@huggingface', 'transformers')))) {
    const install = [
      'install',
      '--prefix',
      peers,
      '--no-save',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
    ];
    await runCommand('npm', [...install, TRANSFORMERS_JS]);
  }
  const modules = join(peers, 'python');
  if (!(await exists(join(modules, 'onnxruntime')))) {
    await runCommand(python, ['-m', 'pip', 'install', '--quiet', '--target', modules, ...EXPORTERS]);
  }
  const model = join(peers, 'models', bundle);
  if (await exists(model)) return model;
  const partial = `${model}.partial`;
  await rm(partial, { recursive: true, force: true });
  const path = [modules, process.env.PYTHONPATH].filter(Boolean).join(delimiter);
  await runCommand(python, [EXPORT, source.folder, folder, partial], { PYTHONPATH: path });
  await rename(partial, model);
  return model;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
