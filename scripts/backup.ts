/**
 * Saves all of a tenant's datasets and ready adapters into a folder, over the public API:
 *
 *     WEFT_URL=https://… WEFT_API_KEY=… npm run backup -- FOLDER
 *
 * What the folder has is compared and kept, so a run that was broken off goes on. Ends with code 1 where one of them could not be saved.
 */
import { mkdir } from 'node:fs/promises';
import { runCommand } from './backup/command.ts';
import { backUpFiles } from './backup/datasets.ts';
import { backUp } from './backup/save.ts';

await runCommand('backup', async (api, folder, say) => {
  await mkdir(folder, { recursive: true });
  return (await backUpFiles(api, folder, say)) + (await backUp(api, folder, say));
});
