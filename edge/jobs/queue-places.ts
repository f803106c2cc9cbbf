import type { LiveNode } from '../base-models.ts';
import { unixNow } from '../clock.ts';
import type { Db } from '../db/client.ts';
import type { JobRow } from '../db/jobs.ts';
import { liveNodes } from '../db/nodes.ts';
import {
  FIRST_GUESS_SECONDS,
  type QueuePlace,
  readQueue,
  readRunning,
  trainableBy,
  waitingFor,
} from '../db/queue.ts';
import { startTimes } from './start-times.ts';

/** The places of the queued ones among `jobs`, by their ids. */
export async function placesOf(db: Db, jobs: readonly JobRow[]): Promise<Map<string, QueuePlace>> {
  const places = new Map<string, QueuePlace>();
  const queued = jobs.filter((job) => job.status === 'queued');
  if (queued.length === 0) return places;
  const now = unixNow();
  const nodes = await liveNodes(db, now);
  const kinds = new Map(queued.map((job) => [kindOf(job), job]));
  for (const [kind, job] of kinds) {
    const able = nodes.filter((node) => canTrain(node, job)).map((node) => node.id);
    const line = await placesAmong(db, able, job.baseModel, now);
    for (const { id } of queued.filter((each) => kindOf(each) === kind)) {
      const place = line.get(id);
      if (place) places.set(id, place);
    }
  }
  return places;
}

/** The places of all jobs that the `able` nodes can train. Without such a node they are computed as if one trained `baseModel`. */
async function placesAmong(db: Db, able: string[], baseModel: string, now: number) {
  const isAlone = able.length === 0;
  const line = await readQueue(db, isAlone ? waitingFor(baseModel) : trainableBy(able), now);
  const running = isAlone ? [] : await readRunning(db, able);
  const freeAt = new Map((isAlone ? ['any'] : able).map((id) => [id, now]));
  for (const { nodeId, leasedAt, left } of running) {
    freeAt.set(nodeId!, Math.max(now, left === null ? leasedAt! + FIRST_GUESS_SECONDS : now + left));
  }
  const starts = startTimes(
    [...freeAt.values()],
    line.map(({ seconds }) => seconds),
  );
  return new Map(line.map(({ id }, i) => [id, { position: i + 1, estimatedStart: Math.ceil(starts[i]!) }]));
}

/** A key that is equal for jobs which wait for the same nodes. */
function kindOf(job: JobRow): string {
  return JSON.stringify([job.baseModel, job.baseModelSha256, precisionOf(job)]);
}

function precisionOf({ resolved, method }: JobRow): string {
  return (resolved?.method ?? method).base_precision;
}

function canTrain({ baseModels }: LiveNode, job: JobRow): boolean {
  const precision = precisionOf(job);
  return baseModels.some(
    ({ id, sha256, precisions }) =>
      id === job.baseModel &&
      sha256 === job.baseModelSha256 &&
      (precision === 'auto' || precisions.includes(precision)),
  );
}
