import { readFileSync } from 'node:fs';

/** Name of a file beside an adapter's files that holds the most bytes of its training process. */
export const PEAK_FILE = 'peak-bytes.json';

/**
 * Most bytes that this program had resident. The kernel's own count is used where there is one, because the resource usage of a forked
 * process begins with its parent's.
 */
export function peakBytes(): number {
  const status = process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : '';
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS;
  return 1024 * Number(kilobytes);
}
