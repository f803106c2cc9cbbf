import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  HEAD_CONFIG_FILE,
  HEAD_WEIGHTS_FILE,
  HUB_WEIGHTS_FILE,
  WEFT_FILE,
} from '../../shared/adapter-format.ts';
import { adapter } from '../../shared/api/adapters.ts';
import { AppError } from '../../shared/errors.ts';
import { importAdapter } from '../adapters/import-adapter.ts';
import { importFields } from '../adapters/import-request.ts';
import { findAdapter, viewAdapter } from '../db/adapters.ts';
import type { AppEnv } from '../http/app-env.ts';
import { form, json, named } from '../http/responses.ts';
import { boundaryOf } from '../upload/multipart.ts';
import { MAX_IMPORT_BYTES } from '../upload/receive-adapter.ts';
import { requestBytes } from '../upload/request-bytes.ts';

const IMPORT_FILES = {
  [ADAPTER_CONFIG_FILE]: { description: "PEFT's or AdapterHub's configuration of the adapter" },
  [ADAPTER_WEIGHTS_FILE]: {
    description: "PEFT's: the adapter's weights and the classifier's; this, or AdapterHub's three",
    optional: true,
  },
  [HUB_WEIGHTS_FILE]: { description: "AdapterHub's: the adapter's weights", optional: true },
  [HEAD_CONFIG_FILE]: { description: "AdapterHub's: the configuration of the head", optional: true },
  [HEAD_WEIGHTS_FILE]: { description: "AdapterHub's: the classifier's weights", optional: true },
  [WEFT_FILE]: {
    description:
      'As Weft wrote it: says labels, base model, precision, pooling, length, temperature and metrics',
    optional: true,
  },
};

const importRoute = createRoute({
  operationId: 'importAdapter',
  method: 'post',
  path: '/v1/adapters/import',
  summary: 'Import an adapter that HF PEFT or AdapterHub trained',
  request: { body: form(IMPORT_FILES, importFields) },
  responses: { 201: json('Ready', named('Adapter', adapter)) },
});

export const adapterImport = new OpenAPIHono<AppEnv>();

// The route only documents: as a handler it would validate the body, and hold all of it in memory.
adapterImport.openAPIRegistry.registerPath(importRoute);
adapterImport.post(importRoute.path, async (c) => {
  const boundary = boundaryOf(c.req.header('content-type'));
  if (Number(c.req.header('content-length') ?? 0) > MAX_IMPORT_BYTES) {
    throw new AppError('payload_too_large', `The body is larger than ${MAX_IMPORT_BYTES} bytes.`);
  }
  const [db, tenant] = [c.get('db'), c.get('tenant')];
  const nodes = c.get('nodes');
  const id = await importAdapter(c.env, db, nodes, tenant, requestBytes(c.req.raw), boundary);
  const row = await findAdapter(db, tenant, id);
  if (!row) throw new AppError('adapter_not_found', `Adapter ${id} was deleted meanwhile.`);
  return c.json(viewAdapter(row), 201, { location: `/v1/adapters/${id}` });
});
