/**
 * When each job of a line starts, where whichever node is free first takes the next.
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
