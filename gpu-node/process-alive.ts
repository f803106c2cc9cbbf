/** True if a process of this id runs on this machine, whoever owns it. */
export function isAlive(pid: number): boolean {
  // Numbers of 0 and below mean groups of processes.
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
