/**
 * Saves all of a tenant's datasets and ready adapters into a folder, over the public API:
 *
 *     WEFT_URL=https://… WEFT_API_KEY=… npm run backup -- FOLDER
 *
 * Content that the folder has already is compared and kept, so repeating the command resumes an interrupted run. It ends with code 1 if
 * anything could not be saved.
 */
import { mkdir } from 'node:fs/promises';
import { runCommand } from './backup/command.ts';
import { backUpFiles } from './backup/datasets.ts';
import { backUp } from './backup/save.ts';

await runCommand('backup', async (api, folder, say) => {
  await mkdir(folder, { recursive: true });
  return (await backUpFiles(api, folder, say)) + (await backUp(api, folder, say));
});
