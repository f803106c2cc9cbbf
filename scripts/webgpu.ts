/**
 * Checks that the training and serving graphs give the same results on WebGPU as on the CPU: on this machine's device, or with `--lavapipe`
 * on Mesa's software device, which is fetched for it.
 *
 *     npm run check:webgpu [-- --lavapipe]
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { homeFolder } from './home.ts';
import { runCommand } from './parity/python.ts';
import { lavapipe } from './webgpu/lavapipe.ts';

const CHECK = fileURLToPath(new URL('./webgpu/check.ts', import.meta.url));

const { values } = parseArgs({ options: { lavapipe: { type: 'boolean', default: false } } });
try {
  const device = values.lavapipe ? await lavapipe(join(homeFolder(), 'lavapipe')) : {};
  await runCommand(process.execPath, [CHECK], device);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
