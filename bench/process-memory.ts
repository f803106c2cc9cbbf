import { readFile } from 'node:fs/promises';

/** Memory of a process in bytes: private memory, and pages of files that it has mapped and touched. Linux only. */
export async function processMemory(pid: number): Promise<{ anonymous: number; mapped: number }> {
  const lines = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const bytesOf = (field: string) => Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(lines)![1]) * 1024;
  return { anonymous: bytesOf('Anonymous'), mapped: bytesOf('Rss') - bytesOf('Anonymous') };
}
