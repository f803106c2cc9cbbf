/**
 * Makes, lists and revokes client keys of the local edge, or with `--remote` of the deployed one. Only a key's SHA-256 is stored, so a key
 * is shown only once.
 */
import { edgeStateFolder, homeFolder } from './home.ts';
import { runKeys } from './key-commands.ts';

try {
  console.log(await runKeys(process.argv.slice(2), edgeStateFolder(homeFolder())));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
