import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Cluster } from '../../test/support/cluster.ts';
import { edgeStateFolder } from '../home.ts';

const run = promisify(execFile);

interface Process {
  pid: number;
  parent: number;
  bytes: number;
}

/**
 * Measures of each process and of the platform. A later value above both `most` times the earlier one and `beside` more than it is a leak.
 */
const MEASURES = {
  MB: { most: 1.5, beside: 150 },
  'open files': { most: 1.5, beside: 100 },
  objects: { most: 1.5, beside: 150 },
} as const;
type Measure = keyof typeof MEASURES;

/** Samples in ten minutes, when everything is warm; growth before that tells nothing. */
const FEWEST_SAMPLES = 60;
/** The processes whose memory counts. Nodes that were killed meanwhile have started anew. */
const LASTING = ['edge', 'node 0'];
/** workerd's own memory grows with requests, while the Worker's heap does not. */
const EDGE_MB_A_REQUEST = 0.02;

/** Memory and open files of an edge and its nodes, and the number of stored objects, over time. */
export class Resources {
  readonly #samples = new Map<string, number[]>();

  /** Takes a sample, and returns it in words. */
  async sample(cluster: Cluster): Promise<string> {
    const processes = await allProcesses();
    const roots: [string, number][] = [
      ['edge', cluster.edgePid],
      ...cluster.nodes.map(({ pid }, i): [string, number] => [`node ${i}`, pid]),
    ];
    const words = roots.map(([name, pid]) => {
      const tree = treeOf(processes, pid);
      const megabytes = Math.round(tree.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6);
      const files = tree.reduce((sum, each) => sum + openFiles(each.pid), 0);
      if (tree.length > 0) this.#note(name, { MB: megabytes, 'open files': files });
      return `${name} ${megabytes} MB, ${files} files`;
    });
    const objects = countFiles(join(edgeStateFolder(cluster.folder), 'r2'));
    this.#note('edge', { objects });
    return `${words.join('; ')}; ${objects} objects`;
  }

  /** Describes what grew without a bound. */
  leaks(requests: number): string[] {
    return leaksIn(this.#samples, requests);
  }

  /** For each series: the first sample, the middle one and the last, and the largest. */
  summary(): string {
    const cells = (sizes: number[]) => [
      sizes[0]!,
      sizes[sizes.length >> 1]!,
      sizes.at(-1)!,
      Math.max(...sizes),
    ];
    return [
      'first, middle, last sample; largest',
      ...[...this.#samples].map(
        ([key, sizes]) => `  ${key.padEnd(18)} ${cells(sizes).join('  ')}  of ${sizes.length}`,
      ),
    ].join('\n');
  }

  #note(name: string, values: Partial<Record<Measure, number>>): void {
    for (const [measure, value] of Object.entries(values)) {
      const key = `${name}: ${measure}`;
      this.#samples.set(key, [...(this.#samples.get(key) ?? []), value]);
    }
  }
}

/**
 * Finds the series, named as in `node 0: MB`, that grew without a bound: it compares the last quarter of the time with the second, when
 * everything was warm. `requests` is the number of requests answered meanwhile.
 */
export function leaksIn(samples: ReadonlyMap<string, readonly number[]>, requests: number): string[] {
  return [...samples].flatMap(([key, sizes]) => {
    const [name, measure] = key.split(': ') as [string, Measure];
    if (!LASTING.includes(name) || sizes.length < FEWEST_SAMPLES) return [];
    const quarter = Math.floor(sizes.length / 4);
    const [before, after] = [median(sizes.slice(quarter, 2 * quarter)), median(sizes.slice(-quarter))];
    const { most, beside } = MEASURES[measure];
    const allowed = name === 'edge' && measure === 'MB' ? EDGE_MB_A_REQUEST * requests : 0;
    const isBounded = after <= Math.max(most * before, before + beside) + allowed;
    return isBounded ? [] : [`${key} grew from ${before} to ${after}`];
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

async function allProcesses(): Promise<Process[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,rss=']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number, number])
    .map(([pid, parent, kibibytes]) => ({ pid, parent, bytes: 1024 * kibibytes }));
}

/** A process and all processes that it started. */
function treeOf(processes: readonly Process[], root: number): Process[] {
  const own = processes.filter(({ pid }) => pid === root);
  const children = processes.filter(({ parent }) => parent === root);
  return [...own, ...children.flatMap(({ pid }) => treeOf(processes, pid))];
}

/** Number of open files and sockets, where the system reports it. */
function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

function countFiles(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      .length;
  } catch {
    return 0;
  }
}
