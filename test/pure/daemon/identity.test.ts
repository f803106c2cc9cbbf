import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimIdentity } from '../../../gpu-node/daemon/identity.ts';

/** Above the largest that Linux gives out. */
const NO_PROCESS = '4194305';

describe("a node's identity", () => {
  let home: string;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'weft identity '));
  });
  afterAll(() => rm(home, { recursive: true }));

  const claimAtOnce = async (name: string, count: number) => {
    const claims = Array.from({ length: count }, () => claimIdentity(join(home, name)));
    return (await Promise.all(claims)).map(({ id }) => id);
  };

  it('is of its own for each of many that start at once', async () => {
    for (let round = 0; round < 5; round++)
      expect(new Set(await claimAtOnce(`new ${round}`, 16)).size).toBe(16);
  });

  it('is of its own for each of many that find the holds of processes that are gone', async () => {
    for (let n = 1; n <= 8; n++) {
      const folder = join(home, 'stale', 'nodes', String(n));
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'hold.3'), NO_PROCESS);
    }
    expect(new Set(await claimAtOnce('stale', 16)).size).toBe(16);
  });

  it('stays what it was after its process gave it back, or is gone', async () => {
    const first = await claimIdentity(join(home, 'again'));
    await first.release();
    const second = await claimIdentity(join(home, 'again'));
    expect(second.id).toBe(first.id);
    await writeFile(join(second.folder, 'hold.2'), NO_PROCESS);
    expect((await claimIdentity(join(home, 'again'))).id).toBe(first.id);
    expect((await readdir(second.folder)).sort()).toEqual(['hold.3', 'id']);
  });
});
