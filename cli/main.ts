#!/usr/bin/env node
/** The `weft` command of a clone, which has the platform beside it. */
import { fileURLToPath } from 'node:url';
import { main } from './process.ts';

await main(fileURLToPath(new URL('../scripts/start.ts', import.meta.url)));
