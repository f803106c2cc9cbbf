import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Device } from './device.ts';
import { RUNTIME_VERSION } from './session.ts';

/** What the speed of this machine's products depends on, whatever runs beside them: equal words, equal kernels. */
export function describeProcessor(): string {
  return `${process.arch} ${cpus()[0]?.model.trim() ?? ''} with CPU features ${cpuFeatures()}, onnxruntime ${RUNTIME_VERSION}`;
}

/**
 * What the bits of a result depend on beside the model and its input: equal words, equal bits. onnxruntime chooses its kernels by the
 * CPU's features, and cuts work by threads.
 */
export function describeMachine({ device, threads }: { device: Device; threads: number }): string {
  const runtime = `onnxruntime ${RUNTIME_VERSION}, Node ${process.version}`;
  return `${process.arch} with CPU features ${cpuFeatures()}, ${threads} threads, ${device}, ${runtime}`;
}

/** 8 hexadecimal digits that stand for what the CPU can do: its flags where the system tells them, its model elsewhere. */
function cpuFeatures(): string {
  const told = process.platform === 'linux' ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const features = /^(?:flags|Features)\s*:(.*)$/m.exec(told)?.[1] ?? cpus()[0]?.model ?? '';
  return createHash('sha256').update(features.trim()).digest('hex').slice(0, 8);
}
