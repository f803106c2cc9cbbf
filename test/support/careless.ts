/** Loaded into a daemon by `--import`: two faults that nothing handles, whenever it is sent SIGUSR2. */
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.on('SIGUSR2', () => {
    Promise.reject(new Error('a promise that nobody held'));
    throw new Error('an event that nobody expected');
  });
}
