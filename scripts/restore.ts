/**
 * Uploads all datasets and imports all adapters of a folder that `npm run backup` filled, over the public API:
 *
 *     WEFT_URL=https://… WEFT_API_KEY=… npm run restore -- FOLDER
 *
 * What the platform has is compared and kept, so a run that was broken off goes on. Ends with code 1 where one of them could not be restored.
 */
import { runCommand } from './backup/command.ts';
import { restoreFiles } from './backup/datasets.ts';
import { restore } from './backup/load.ts';

await runCommand('restore', async (api, folder, say) => {
  return (await restoreFiles(api, folder, say)) + (await restore(api, folder, say));
});
