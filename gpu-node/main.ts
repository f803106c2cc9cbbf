import { enableCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { settleAllocator } from './allocator.ts';

settleAllocator();

/*
 * The daemon's entry. `NODE_ARGUMENTS` bounds the young objects of the main thread, whose heap exists by now. Left in force, that bound
 * would override the lower ones of the threads, which would then take more memory (docs/operations.md).
 */
setFlagsFromString('--max-semi-space-size=0');

/*
 * Node keeps compiled code in this cache. Without it each thread and each training process would strip types and compile the same files
 * anew, and a thread keeps the memory that this takes (docs/operations.md). The first daemon of a home fills it for all that start after it
 * ended.
 */
const compiled = join(resolve(process.env.WEFT_HOME || '.weft'), 'cache', 'compiled');
enableCompileCache(compiled);
// Threads and child processes read it from here.
process.env.NODE_COMPILE_CACHE = compiled;
await import('./daemon/run.ts');
