import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Device } from './device.ts';
import { RUNTIME_VERSION } from './session.ts';

/** Describes the processor as far as the speed of its products depends on it: equal words mean equal kernels. */
export function describeProcessor(): string {
  return `${process.arch} ${cpus()[0]?.model.trim() ?? ''} with CPU features ${cpuFeatures()}, onnxruntime ${RUNTIME_VERSION}`;
}

/**
 * Describes everything besides model and input that the bits of a result depend on: equal words mean equal bits. onnxruntime chooses its
 * kernels by the CPU's features, and divides work by threads.
 */
export function describeMachine({ device, threads }: { device: Device; threads: number }): string {
  const runtime = `onnxruntime ${RUNTIME_VERSION}, Node ${process.version}`;
  return `${process.arch} with CPU features ${cpuFeatures()}, ${threads} threads, ${device}, ${runtime}`;
}

/** 8 hexadecimal digits for the CPU's features: a hash of its flags if the system reports them, else of its model. */
function cpuFeatures(): string {
  const told = process.platform === 'linux' ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const features = /^(?:flags|Features)\s*:(.*)$/m.exec(told)?.[1] ?? cpus()[0]?.model ?? '';
  return createHash('sha256').update(features.trim()).digest('hex').slice(0, 8);
}
