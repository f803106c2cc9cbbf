import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { bundleFile, WEIGHTS_FILES } from '../../shared/adapter-format.ts';
import { adapterRef } from '../../shared/api/common.ts';
import { AppError } from '../../shared/errors.ts';
import { findAdapter } from '../db/adapters.ts';
import type { AppEnv } from '../http/app-env.ts';
import { serveObject } from '../objects/storage.ts';

const download = createRoute({
  operationId: 'downloadAdapterFile',
  method: 'get',
  path: '/v1/adapters/{id}/files/{file}',
  summary: "Download an adapter's file: what HF PEFT or AdapterHub loads, and weft.json with its labels",
  request: { params: z.object({ id: z.string(), file: bundleFile }) },
  responses: {
    200: {
      description: 'The bytes; the ETag is their SHA-256',
      content: { 'application/octet-stream': { schema: z.any() }, 'application/json': { schema: z.any() } },
    },
    304: { description: 'As in If-None-Match' },
  },
});

export const adapterFiles = new OpenAPIHono<AppEnv>().openapi(download, async (c) => {
  const { id, file } = c.req.valid('param');
  const unknown = new AppError('adapter_not_found', `There is no adapter ${id}.`);
  const found = adapterRef.safeParse(id).success && (await findAdapter(c.get('db'), c.get('tenant'), id));
  if (!found) throw unknown;
  const { manifest, prefix } = found.adapter;
  const entry = manifest?.find(({ name }) => name === file);
  if (!manifest || prefix === null) {
    throw new AppError('adapter_not_ready', `Adapter ${id} is not ready, so it has no files.`);
  }
  if (!entry) {
    const there = manifest.map(({ name }) => name).sort();
    throw new AppError('file_not_found', `Adapter ${id} has no file ${file}, only ${there.join(', ')}.`);
  }
  const etag = `"${entry.sha256}"`;
  // A bare name may mean a later version tomorrow, so a cached copy is always revalidated.
  const headers = { etag, 'cache-control': 'private, no-cache' };
  if (c.req.header('if-none-match') === etag) return c.body(null, 304, headers);
  return serveObject(
    c.env,
    prefix + file,
    {
      ...headers,
      'content-type': WEIGHTS_FILES.has(file) ? 'application/octet-stream' : 'application/json',
      'content-disposition': `attachment; filename="${file}"`,
    },
    unknown,
  );
});
