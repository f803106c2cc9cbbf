/**
 * Start times of the jobs in a line, where the node that is free first takes the next job.
 * @param freeAt when each node is free; at least one
 * @param seconds how long each job runs
 */
export function startTimes(freeAt: readonly number[], seconds: readonly number[]): number[] {
  const free = [...freeAt];
  return seconds.map((duration) => {
    const start = Math.min(...free);
    free[free.indexOf(start)] = start + duration;
    return start;
  });
}
