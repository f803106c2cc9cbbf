import { AppError } from '../shared/errors.ts';

/** The system's codes for no space left, a quota used up, and a file larger than the process may write. */
const FULL: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/** True if an error, or one that caused it, means that the disk has no room for more bytes. */
export function isDiskFull(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if ('code' in each && FULL.includes(each.code)) return true;
  }
  return false;
}

/**
 * Runs `write`, which puts `what` into a folder under the node's home.
 * @throws {AppError} `no_capacity` if the disk is full; its message is for the user, its cause names the folder for the node's log
 */
export async function writingInto<T>(folder: string, what: string, write: () => T | Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    throw new AppError(
      'no_capacity',
      `the node's disk is full: there is no room for ${what} under its WEFT_HOME; free space there, or move it to a larger disk`,
      { cause: new Error(`${folder} is full`, { cause: error }) },
    );
  }
}
