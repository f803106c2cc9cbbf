/**
 * Environment of a node on Linux. By default glibc keeps much of the memory that ended sessions free: each large block that is freed raises
 * the size from which blocks are taken from the system, and memory in its heaps is returned only from their ends. Fixed thresholds return
 * large blocks when they are freed. Only the environment can set them, before a process starts.
 */
export const ALLOCATOR_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

/** Restarts this process in that environment unless it has it already; its starter sees the same process. */
export function settleAllocator(): void {
  const isSet = Object.keys(ALLOCATOR_ENVIRONMENT).some((name) => process.env[name] !== undefined);
  // A channel to the starter would not survive the restart, so a starter with a channel sets the environment itself.
  if (isSet || process.platform !== 'linux' || process.connected || !process.execve) return;
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, command, { ...process.env, ...ALLOCATOR_ENVIRONMENT });
}
