import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Complaints } from '../../../scripts/soak/complaints.ts';
import { leaksIn } from '../../../scripts/soak/resources.ts';

let now: number;
let complaints: Complaints;
beforeEach(() => {
  vi.spyOn(console, 'log').mockImplementation(() => {});
  now = 0;
  complaints = new Complaints(() => now);
});

describe('complaints', () => {
  it('are told once a kind, with the first and how often', () => {
    complaints.add('job ftjob_12ab took 190 s');
    complaints.add('job ftjob_98fe took 200 s');
    complaints.add('node 1 ended by itself');
    expect(complaints.list).toEqual([
      'job ftjob_12ab took 190 s (2 times)',
      'node 1 ended by itself (1 times)',
    ]);
  });

  it('leave out a few requests that fail just after a node was killed, and no others', () => {
    complaints.failedRequest('no_capacity');
    expect(complaints.list).toHaveLength(1);
    complaints.disturbed();
    now = 34_000;
    for (let i = 0; i < 20; i++) complaints.failedRequest('upstream_failed');
    expect(complaints.list).toHaveLength(1);
    complaints.failedRequest('upstream_failed');
    expect(complaints.list).toHaveLength(2);
    complaints.disturbed();
    now = 80_000;
    complaints.failedRequest('unreachable');
    expect(complaints.list).toHaveLength(3);
    expect(complaints.excused).toBe(20);
  });
});

describe('what grows', () => {
  const series = (from: number, to: number, length = 80) =>
    Array.from({ length }, (_, i) => from + ((to - from) * i) / (length - 1));
  const leaks = (name: string, sizes: number[], requests = 0) => leaksIn(new Map([[name, sizes]]), requests);

  it('without a bound is a leak, in memory, in open files and in objects', () => {
    expect(leaks('node 0: MB', series(300, 900))).toEqual([expect.stringMatching(/^node 0: MB grew from/)]);
    expect(leaks('node 0: open files', series(100, 900))).toHaveLength(1);
    expect(leaks('edge: objects', series(200, 1500))).toHaveLength(1);
  });

  it('is none while all is warming up, within bounds, or by what workerd takes for requests', () => {
    const warm = [...series(100, 500, 20), ...series(500, 550, 60)];
    expect(leaks('node 0: MB', warm)).toEqual([]);
    expect(leaks('edge: MB', series(700, 2700), 100_000)).toEqual([]);
    expect(leaks('edge: MB', series(700, 2700), 1000)).toHaveLength(1);
  });

  it('tells nothing of nodes that were killed meanwhile, or of a short run', () => {
    expect(leaks('node 1: MB', series(300, 900))).toEqual([]);
    expect(leaks('node 0: MB', series(300, 900, 59))).toEqual([]);
  });
});
