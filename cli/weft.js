#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
/**
 * Starts the `weft` command from its TypeScript. Node strips types everywhere but below node_modules, where this does that: so what a plain
 * `npm pack` packs runs too. `npm run pack` makes the small package, which needs neither this nor any dependency.
 */
import { readFileSync } from 'node:fs';
import module from 'node:module';

if (import.meta.url.includes('/node_modules/')) {
  module.registerHooks({
    load(url, context, next) {
      if (!url.endsWith('.ts')) return next(url, context);
      const source = module.stripTypeScriptTypes(readFileSync(new URL(url), 'utf8'));
      return { format: 'module', source, shortCircuit: true };
    },
  });
}
await import('./main.ts');
