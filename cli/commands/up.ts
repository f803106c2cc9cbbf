import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Failure } from '../failure.ts';
import { Session } from '../session.ts';
import { LOCAL, verb } from '../verb.ts';
import type { World } from '../world.ts';

export const up = (world: World) =>
  verb('up', 'Bring the whole platform up on this machine, until Ctrl-C', LOCAL)
    .option('--port <port>', 'port of the edge (else PORT, else 8787); 0 is any free one')
    .option('--home <folder>', 'folder of its state (else WEFT_HOME, else .weft)')
    .action(async ({ port, home }, command) => {
      const { out } = new Session(world, command);
      if (world.startScript === undefined) {
        const message =
          'This command line was installed without the platform, whose runtime and base models are too large for it: clone the repository, and there run `npm ci && npx weft up`.';
        throw new Failure('failed', 'needs_clone', message);
      }
      const child = fork(world.startScript, {
        env: {
          ...world.env,
          ...(port !== undefined && { PORT: port }),
          ...(home !== undefined && { WEFT_HOME: home }),
        },
        // With --json its words go beside the payload.
        stdio: ['ignore', out.json ? 2 : 1, 2, 'ipc'],
      });
      child.on('message', (ready) => out.item(ready));
      // Ctrl-C reaches the child by itself in a terminal; a signal that was sent to this process alone is passed on.
      world.signal.addEventListener('abort', () => child.kill('SIGINT'), { once: true });
      const [code] = (await once(child, 'exit')) as [number | null];
      if (code === 0) return;
      throw new Failure('failed', 'platform_failed', 'The platform could not be started, or it stopped.');
    });
