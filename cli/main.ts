/** The `weft` command. In a clone it has the platform beside it. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { main } from './process.ts';

const startScript = fileURLToPath(new URL('../scripts/start.ts', import.meta.url));

await main(existsSync(startScript) ? startScript : undefined);
