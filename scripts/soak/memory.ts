import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Cluster } from '../../test/support/cluster.ts';

const run = promisify(execFile);

interface Process {
  pid: number;
  parent: number;
  bytes: number;
}

/** Resident memory of an edge and of nodes over time. */
export class MemoryLog {
  readonly #samples = new Map<string, number[]>();

  /** Takes a sample, and gives it in words: megabytes of each. */
  async sample({ nodes, edgePid }: Cluster): Promise<string> {
    const processes = await allProcesses();
    const sizes: [string, number][] = [
      ['load', process.memoryUsage.rss()],
      ['edge', bytesOfTree(processes, edgePid)],
      ...nodes.map(({ pid }, i): [string, number] => [`node ${i} (${pid})`, bytesOfTree(processes, pid)]),
    ];
    for (const [name, bytes] of sizes) {
      if (bytes > 0) this.#samples.set(name, [...(this.#samples.get(name) ?? []), bytes]);
    }
    return sizes.map(([name, bytes]) => `${name} ${megabytes(bytes)}`).join(', ');
  }

  /** Of each process that was seen more than twice: the first sample, the middle one and the last, and the largest. */
  summary(): string {
    const lines = [...this.#samples].filter(([, sizes]) => sizes.length > 2);
    const cells = (sizes: number[]) =>
      [sizes[0]!, sizes[sizes.length >> 1]!, sizes.at(-1)!, Math.max(...sizes)].map(megabytes);
    return [
      'memory in MB: first, middle, last sample; largest',
      ...lines.map(([name, sizes]) => `  ${name.padEnd(18)} ${cells(sizes).join('  ')}  of ${sizes.length}`),
    ].join('\n');
  }
}

const megabytes = (bytes: number) => Math.round(bytes / 1e6);

async function allProcesses(): Promise<Process[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,rss=']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number, number])
    .map(([pid, parent, kibibytes]) => ({ pid, parent, bytes: 1024 * kibibytes }));
}

function bytesOfTree(processes: readonly Process[], root: number): number {
  const own = processes.find(({ pid }) => pid === root)?.bytes ?? 0;
  const children = processes.filter(({ parent }) => parent === root);
  return own + children.reduce((sum, { pid }) => sum + bytesOfTree(processes, pid), 0);
}
