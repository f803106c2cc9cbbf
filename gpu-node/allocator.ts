/**
 * Environment of a node on Linux. glibc keeps much of what ended sessions have freed: each large block that is freed raises the size from
 * which it takes a block of its own from the system, and what lies in its heaps comes back from their ends alone. Thresholds that are
 * set stay as they are, and large blocks go back when they are freed; they can be set by the environment only, before a process starts.
 */
export const ALLOCATOR_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

/** Starts this process anew in that environment where it has another, as the same process to whoever started it. */
export function settleAllocator(): void {
  const isSet = Object.keys(ALLOCATOR_ENVIRONMENT).some((name) => process.env[name] !== undefined);
  // A channel to the starter would not outlive it: who opens one gives the environment itself.
  if (isSet || process.platform !== 'linux' || process.connected || !process.execve) return;
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, command, { ...process.env, ...ALLOCATOR_ENVIRONMENT });
}
