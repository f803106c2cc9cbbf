import { readFileSync } from 'node:fs';

/** Beside an adapter's files: the most bytes that its training process had. */
export const PEAK_FILE = 'peak-bytes.json';

/**
 * Most bytes that this program had resident, as the kernel counts them where it does; the resource usage of a forked process begins with
 * what its parent had.
 */
export function peakBytes(): number {
  const status = process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : '';
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS;
  return 1024 * Number(kilobytes);
}
