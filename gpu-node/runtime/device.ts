import { Graph } from '../graph/builder.ts';
import { encodeModel } from '../graph/onnx.ts';
import { relu } from '../ops/index.ts';
import { floats, Session, tensor } from './session.ts';

/** Execution providers that Weft supports; the first is the default. */
export const DEVICES = ['cpu', 'webgpu', 'cuda'] as const;
export type Device = (typeof DEVICES)[number];

/** The error for a device in `WEFT_DEVICE` that this machine lacks; the message lists those it has. */
export class DeviceError extends Error {
  override name = 'DeviceError';
}

/**
 * Resolves `WEFT_DEVICE` (undefined or empty: `cpu`) by running a model of one node on it.
 * @throws {DeviceError} for an unknown name, or a device that does not run here.
 */
export async function resolveDevice(name: string | undefined): Promise<Device> {
  const device = DEVICES.find((known) => known === (name || 'cpu'));
  if (!device) throw new DeviceError(`WEFT_DEVICE is ${name}; it must be cpu, webgpu or cuda`);
  const failure = await probe(device);
  if (failure === undefined) return device;
  const available = [];
  for (const other of DEVICES) {
    if (other !== device && (await probe(other)) === undefined) available.push(other);
  }
  throw new DeviceError(
    `WEFT_DEVICE is ${device}, which does not run here (${failure}); available: ${available.join(', ')}`,
  );
}

/** Runs one node on the device. Returns the reason of a failure, or undefined. */
async function probe(device: Device): Promise<string | undefined> {
  const graph = new Graph('probe');
  graph.output('y', relu(graph.input('x', 'float32', [2])));
  try {
    const session = await Session.create(encodeModel(graph), { name: device, device, threads: 1 });
    const outputs = await session.run({ x: tensor('float32', [2], Float32Array.of(-1, 2)) });
    await session.release();
    return floats(outputs, 'y')[1] === 2 ? undefined : 'it computes wrong results';
  } catch (error) {
    return reasonOf(error);
  }
}

/** The last sentence of a runtime error, behind its source files and expressions. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split('. ').at(-1)!.split(': ').slice(-2).join(': ');
}
