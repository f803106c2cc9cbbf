import { join } from 'node:path';
import type { LayoutName } from '../../shared/adapter-format.ts';
import { virtualPython } from './python.ts';

/** The Python of each library, which want transformers of different ages: its requirements, the variable that names another, and its folder. */
const PYTHONS: Readonly<Record<LayoutName, { requirements: string; variable: string; folder: string }>> = {
  peft: { requirements: 'scripts/fixtures/requirements.txt', variable: 'WEFT_PYTHON', folder: 'venv' },
  adapterhub: {
    requirements: 'scripts/fixtures/adapterhub-requirements.txt',
    variable: 'WEFT_ADAPTERHUB_PYTHON',
    folder: 'adapterhub-venv',
  },
};

/**
 * A Python with torch and the library that reads files of a layout: the one that a variable of the environment names, else a virtual
 * environment under `home`. torch is installed first, so that nothing pulls in another build; pip's own settings (`PIP_FIND_LINKS`,
 * `PIP_EXTRA_INDEX_URL`) say where a build without CUDA lies.
 */
export async function libraryPython(library: LayoutName, home: string): Promise<string> {
  const { requirements, variable, folder } = PYTHONS[library];
  return process.env[variable] || virtualPython(join(home, folder), requirements, /^torch==.*$/m);
}
