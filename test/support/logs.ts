import { Writable } from 'node:stream';
import { createLog, type Log } from '../../gpu-node/log.ts';

/** A log that a test can read: its lines as objects. */
export function recordingLog(): { log: Log; lines: { level: string; message: string }[] } {
  const lines: { level: string; message: string }[] = [];
  const out = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  return { log: createLog(out, false), lines };
}
