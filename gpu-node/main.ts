import { enableCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { settleAllocator } from './allocator.ts';

settleAllocator();

/*
 * The daemon's entry. What it is started with (`NODE_ARGUMENTS`) bounds the young objects of the main thread, whose heap is there by now.
 * Left as it is, it would stand above the lower bounds that the threads are given: 10 MB more for each.
 */
setFlagsFromString('--max-semi-space-size=0');

/*
 * Each thread of it, and each training process, would strip the types of the same files and compile them anew, for which
 * a thread takes 10 MB that it keeps; what the first daemon of a home has compiled is there for all that start after it ended.
 */
const compiled = join(resolve(process.env.WEFT_HOME || '.weft'), 'cache', 'compiled');
enableCompileCache(compiled);
// Threads and child processes take it from here.
process.env.NODE_COMPILE_CACHE = compiled;
await import('./daemon/run.ts');
