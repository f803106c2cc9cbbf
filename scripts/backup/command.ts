import { BackupApi } from './api.ts';

/**
 * Runs a command over a backup's folder, its one argument. The action returns how many items failed; if any did, the process ends with 1.
 */
export async function runCommand(
  command: string,
  action: (api: BackupApi, folder: string, say: (line: string) => void) => Promise<number>,
): Promise<void> {
  const [folder, ...others] = process.argv.slice(2);
  if (folder === undefined || others.length > 0) {
    console.error(`usage: npm run ${command} -- FOLDER`);
    process.exitCode = 2;
    return;
  }
  try {
    const failures = await action(BackupApi.fromEnvironment(), folder, (line) => console.log(line));
    if (failures > 0) process.exitCode = 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
