import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import '../../gpu-node/train/main.ts';
import { toTrainer } from '../../gpu-node/train/protocol.ts';
import { PEAK_FILE, peakBytes } from './peak-memory.ts';

/* The platform's training process, which also records its peak memory when it ends. */

process.on('message', (raw) => {
  const { data: message } = toTrainer.safeParse(raw);
  if (message?.type !== 'start') return;
  const { output_folder } = message.spec;
  process.on('exit', () => writeFileSync(join(output_folder, PEAK_FILE), String(peakBytes())));
});
