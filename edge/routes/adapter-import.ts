import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, WEFT_FILE } from '../../shared/adapter-format.ts';
import { adapter } from '../../shared/api/adapters.ts';
import { adapterName } from '../../shared/api/common.ts';
import { AppError } from '../../shared/errors.ts';
import { basePrecision, pooling } from '../../shared/peft-config.ts';
import { findAdapter, viewAdapter } from '../db/adapters.ts';
import type { AppEnv } from '../env.ts';
import { importAdapter } from '../import-adapter.ts';
import { NodeClient } from '../node-client.ts';
import { requestBytes } from '../upload/bytes.ts';
import { boundaryOf } from '../upload/multipart.ts';
import { MAX_IMPORT_BYTES } from '../upload/receive-adapter.ts';
import { json, problemResponse } from './responses.ts';

const binary = z.any().openapi({ type: 'string', format: 'binary' });

const importRoute = createRoute({
  method: 'post',
  path: '/v1/adapters/import',
  summary: 'Import an adapter that HF PEFT trained',
  request: {
    body: {
      required: true,
      content: {
        'multipart/form-data': {
          schema: z.object({
            [ADAPTER_CONFIG_FILE]: binary,
            [ADAPTER_WEIGHTS_FILE]: binary,
            [WEFT_FILE]: binary.optional().openapi({
              description:
                'As Weft wrote it: says labels, base model, precision, pooling, length, temperature and metrics',
            }),
            name: adapterName,
            labels: z.array(z.string()).openapi({ description: "In the order of the classifier's rows" }),
            base_model: z
              .string()
              .optional()
              .openapi({ description: 'Where adapter_config.json does not name it' }),
            base_precision: basePrecision
              .default('fp32')
              .openapi({ description: 'What the base model was held in while the adapter was trained' }),
            pooling: pooling.default('cls'),
            max_length: z.int().optional(),
          }),
        },
      },
    },
  },
  responses: { 201: json('Ready', adapter), default: problemResponse },
});

export const adapterImport = new OpenAPIHono<AppEnv>();

// Only documented by its route: that would validate the body, and for it hold it whole.
adapterImport.openAPIRegistry.registerPath(importRoute);
adapterImport.post(importRoute.path, async (c) => {
  const boundary = boundaryOf(c.req.header('content-type'));
  if (Number(c.req.header('content-length') ?? 0) > MAX_IMPORT_BYTES) {
    throw new AppError('payload_too_large', `The body is larger than ${MAX_IMPORT_BYTES} bytes.`);
  }
  const [db, tenant] = [c.get('db'), c.get('tenant')];
  const nodes = new NodeClient(c.env.NODE_SECRET, c.get('requestId'));
  const id = await importAdapter(c.env, db, nodes, tenant, requestBytes(c.req.raw), boundary);
  const row = await findAdapter(db, tenant, id);
  if (!row) throw new AppError('adapter_not_found', `Adapter ${id} was deleted meanwhile.`);
  return c.json(viewAdapter(row), 201, { location: `/v1/adapters/${id}` });
});
