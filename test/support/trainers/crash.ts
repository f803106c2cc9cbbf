/** A training process that dies of a signal once it has begun, as when memory runs out. */
process.on('message', () => {
  console.error('about to die');
  process.kill(process.pid, 'SIGKILL');
});
