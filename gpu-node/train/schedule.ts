/**
 * Learning rate by step, counted from 0: it rises linearly to `peak` over `warmupSteps`, then falls linearly to 0 at `steps`, like
 * transformers' `get_linear_schedule_with_warmup`.
 */
export function linearSchedule(peak: number, warmupSteps: number, steps: number): (step: number) => number {
  return (step) => {
    if (step < warmupSteps) return (peak * step) / Math.max(1, warmupSteps);
    return peak * Math.max(0, (steps - step) / Math.max(1, steps - warmupSteps));
  };
}
