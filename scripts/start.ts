/** Brings the whole platform up on this machine and leaves it running until SIGINT or SIGTERM. */
import { once } from 'node:events';
import { relative } from 'node:path';
import { startPlatform } from './platform.ts';

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
// `weft up`, which starts this, is told when the platform is ready, and takes it along when it ends.
process.on('disconnect', () => stop.abort());
// The channel alone does not keep this process.
process.channel?.unref();

try {
  await using platform = await startPlatform({ signal: stop.signal });
  const secret = relative('.', `${platform.home}/node-secret`);
  console.log(
    [
      '',
      `ready  ${platform.url}  key ${platform.key}`,
      `  state is kept in ${platform.home}; Ctrl-C stops`,
      `  in a browser: ${platform.url}/console/`,
      '  first, upload labelled texts (CSV with the header "text,label", or JSONL); README.md goes on from there:',
      `    curl -s ${platform.url}/v1/files -H 'Authorization: Bearer ${platform.key}' -F purpose=fine-tune -F file=@texts.csv`,
      `  another node joins with: WEFT_EDGE_URL=${platform.url} WEFT_NODE_SECRET="$(cat '${secret}')" npm run node`,
      '',
    ].join('\n'),
  );
  process.send?.({ object: 'platform', url: platform.url, home: platform.home });
  if (!stop.signal.aborted) await Promise.race([once(stop.signal, 'abort'), platform.failed]);
  console.log('stopping: the node drains first');
  await platform.stop();
} catch (error) {
  if (!stop.signal.aborted) {
    console.error(`The platform stopped: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
