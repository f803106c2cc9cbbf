import { describe, expect, it } from 'vitest';
import { startTimes } from '../../../../edge/jobs/start-times.ts';

describe('startTimes', () => {
  it('lines jobs up behind one another on one node', () => {
    expect(startTimes([100], [10, 20, 5])).toEqual([100, 110, 130]);
  });

  it('gives each job to the node that is free first', () => {
    expect(startTimes([100, 50], [60, 10, 10, 10])).toEqual([50, 100, 110, 110]);
  });

  it('has nothing to say of an empty line', () => {
    expect(startTimes([1, 2], [])).toEqual([]);
  });
});
