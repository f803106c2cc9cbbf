/**
 * Uploads all datasets and imports all adapters of a folder that `npm run backup` filled, over the public API:
 *
 *     WEFT_URL=https://… WEFT_API_KEY=… npm run restore -- FOLDER
 *
 * Content that the platform has already is compared and kept, so repeating the command resumes an interrupted run. It ends with code 1 if
 * anything could not be restored.
 */
import { runCommand } from './backup/command.ts';
import { restoreFiles } from './backup/datasets.ts';
import { restore } from './backup/load.ts';

await runCommand('restore', async (api, folder, say) => {
  return (await restoreFiles(api, folder, say)) + (await restore(api, folder, say));
});
