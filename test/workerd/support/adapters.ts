import type { Client } from './api.ts';
import { finish, type TestNode } from './nodes.ts';

export const EXAMPLES = [
  { text: 'win money now', label: 'spam' },
  { text: 'cheap pills', label: 'spam' },
  { text: 'see you at noon', label: 'ham' },
  { text: 'minutes attached', label: 'ham' },
];

/** Queues the training of an adapter; gives its name and version. */
export async function submit(client: Client, name: string, extra: object = {}): Promise<string> {
  const { status, body } = await client.call('/v1/adapters', {
    json: { name, examples: EXAMPLES, ...extra },
  });
  if (status !== 202) throw new Error(`submitting: ${JSON.stringify(body)}`);
  return body.id;
}

/** A ready adapter on a node's base model, its first unless said otherwise. */
export async function makeReady(
  client: Client,
  node: TestNode,
  name: string,
  baseModel = node.baseModel,
): Promise<string> {
  const id = await submit(client, name, { base_model: baseModel });
  const lease = await node.lease();
  if (!lease) throw new Error('no job to lease');
  await finish(lease);
  return id;
}
