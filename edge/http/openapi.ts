import type { OpenAPIHono } from '@hono/zod-openapi';
import { problemBody } from '../../shared/api/common.ts';
import { ERROR_STATUS, type ErrorCode } from '../../shared/errors.ts';
import type { AppEnv } from './app-env.ts';
import { LIMIT_HEADERS } from './limit-headers.ts';
import { named } from './responses.ts';

type Document = ReturnType<OpenAPIHono<AppEnv>['getOpenAPI31Document']>;
type PathItem = NonNullable<Document['paths']>[string];
type Operation = NonNullable<PathItem['get']>;

/** Tags of the document, by the beginning of a path. */
const TAGS: Readonly<Record<string, string>> = {
  '/v1/files': 'Files',
  '/v1/adapters': 'Adapters',
  '/v1/fine_tuning': 'Jobs',
  '/v1/classify': 'Classification',
  '/v1/moderations': 'Classification',
  '/v1/models': 'Models',
  '/v1/keys': 'Keys',
  '/v1/fleet': 'Fleet',
  '/v1/evaluations': 'Evaluations',
  '/health': 'Health',
};

// An operation's error codes follow from its shape and from this table. Tests hold every answer against the document, and find a code here
// that is never answered or one that is missing.
const ANY: readonly ErrorCode[] = ['unknown_parameter', 'internal_error', 'no_capacity'];
const WITH_KEY: readonly ErrorCode[] = ['invalid_api_key', 'rate_limited'];
const WITH_INPUT: readonly ErrorCode[] = ['invalid_request'];
const WITH_BODY: readonly ErrorCode[] = ['malformed_body', 'payload_too_large', 'unsupported_media_type'];
const WITH_JSON: readonly ErrorCode[] = ['malformed_json'];
const OF_OPERATION: Readonly<Record<string, readonly ErrorCode[]>> = {
  createAdapter: [
    'file_not_found',
    'model_not_found',
    'invalid_dataset',
    'idempotency_conflict',
    'queue_full',
    'storage_full',
  ],
  listAdapters: ['adapter_not_found'],
  getAdapter: ['adapter_not_found'],
  deleteAdapter: ['adapter_not_found', 'adapter_in_use'],
  warmAdapter: ['adapter_not_found', 'adapter_not_ready'],
  downloadAdapterFile: ['adapter_not_found', 'adapter_not_ready', 'file_not_found', 'invalid_request'],
  exportAdapter: [
    'adapter_not_found',
    'adapter_not_ready',
    'invalid_adapter',
    'not_mergeable',
    'upstream_failed',
  ],
  importAdapter: ['storage_full', 'adapter_not_found', 'model_not_found', 'invalid_adapter'],
  listAliases: ['adapter_not_found'],
  putAlias: ['adapter_not_found', 'adapter_not_ready', 'limit_reached', 'invalid_request'],
  getAlias: ['adapter_not_found', 'alias_not_found', 'invalid_request'],
  deleteAlias: ['adapter_not_found', 'alias_not_found', 'invalid_request'],
  listAliasChanges: ['adapter_not_found', 'alias_not_found'],
  rollBackAlias: [
    'adapter_not_found',
    'alias_not_found',
    'nothing_to_roll_back',
    'idempotency_conflict',
    'payload_too_large',
    'unsupported_media_type',
    'malformed_body',
    'malformed_json',
    'invalid_request',
  ],
  uploadFile: ['storage_full', 'invalid_dataset'],
  listFiles: ['file_not_found'],
  getFile: ['file_not_found'],
  downloadFile: ['file_not_found'],
  getFileReport: ['file_not_found'],
  downloadFileErrors: ['file_not_found'],
  deleteFile: ['file_not_found', 'file_in_use'],
  createJob: ['file_not_found', 'model_not_found', 'invalid_dataset', 'idempotency_conflict', 'queue_full'],
  listJobs: ['job_not_found'],
  getJob: ['job_not_found'],
  cancelJob: ['job_not_found', 'job_finished'],
  listJobEvents: ['job_not_found'],
  createEvaluation: [
    'adapter_not_found',
    'adapter_not_ready',
    'file_not_found',
    'idempotency_conflict',
    'queue_full',
    'limit_reached',
  ],
  listEvaluations: ['evaluation_not_found'],
  getEvaluation: ['evaluation_not_found'],
  cancelEvaluation: ['evaluation_not_found', 'job_finished'],
  deleteEvaluation: ['evaluation_not_found'],
  createKey: ['limit_reached'],
  rotateKey: ['key_not_found', 'limit_reached'],
  deleteKey: ['key_not_found', 'invalid_request'],
  getModel: ['model_not_found', 'adapter_not_ready'],
  deleteModel: ['model_not_found', 'adapter_in_use', 'invalid_request'],
  classify: ['adapter_not_found', 'adapter_not_ready', 'upstream_failed'],
  moderate: ['adapter_not_found', 'adapter_not_ready', 'upstream_failed'],
};

const REQUEST_ID = { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' } as const;
const text = { type: 'string' } as const;

const REQUEST_HEADERS = {
  'X-Request-Id': [
    text,
    'Names the request in logs and errors, where it is 1 to 64 letters, digits, "_" and "-"',
  ],
  'Idempotency-Key': [
    { type: 'string', minLength: 1, maxLength: 255 },
    'The first answer is given again to each repetition for a day',
  ],
  'Last-Event-ID': [text, 'Where a stream goes on'],
  'If-None-Match': [text, 'An ETag that the client has'],
} as const;
const ASKED: Readonly<Record<string, readonly (keyof typeof REQUEST_HEADERS)[]>> = {
  createAdapter: ['Idempotency-Key'],
  createJob: ['Idempotency-Key'],
  rollBackAlias: ['Idempotency-Key'],
  createEvaluation: ['Idempotency-Key'],
  listJobEvents: ['Last-Event-ID'],
  downloadAdapterFile: ['If-None-Match'],
};

const HEADERS = {
  'X-Request-Id': [REQUEST_ID, 'What logs and errors name the request by'],
  Location: [text, 'The path of what was made'],
  'Server-Timing': [text, 'Where the time went, in milliseconds'],
  ETag: [text, 'The SHA-256 of the bytes'],
  'Retry-After': [{ type: 'integer', minimum: 1 }, 'Seconds after which to try again'],
  'X-Should-Retry': [{ type: 'string', const: 'false' }, 'That the same request stays refused'],
  'WWW-Authenticate': [text, 'How to give a key'],
  'Accept-Encoding': [text, 'The content codings that a body may have'],
} as const;
type Header = keyof typeof HEADERS;
const GIVEN: Readonly<Record<string, readonly Header[]>> = {
  createAdapter: ['Location'],
  importAdapter: ['Location'],
  createEvaluation: ['Location'],
  downloadAdapterFile: ['ETag'],
  classify: ['Server-Timing'],
  moderate: ['Server-Timing'],
};
const GIVEN_WITH: Readonly<Record<number, readonly Header[]>> = {
  401: ['WWW-Authenticate'],
  405: ['X-Should-Retry'],
  409: ['Retry-After', 'X-Should-Retry'],
  413: ['X-Should-Retry'],
  415: ['Accept-Encoding'],
  429: ['Retry-After'],
  502: ['X-Should-Retry'],
  503: ['Retry-After'],
};

/** Makes the OpenAPI document from the routes and the tables above. Call it once. */
export function describeApi(app: OpenAPIHono<AppEnv>): Document {
  app.openAPIRegistry.register('Problem', named('Problem', problemBody));
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: { title: 'Weft', version: '0.1.0', description: 'Trains and serves LoRA text classifiers.' },
    security: [{ key: [] }],
    tags: Object.values(TAGS).map((name) => ({ name })),
  });
  document.components!.securitySchemes = { key: { type: 'http', scheme: 'bearer' } };
  document.components!.headers = Object.fromEntries([
    ...Object.entries(HEADERS).map(([name, [schema, description]]) => [name, { schema, description }]),
    ...LIMIT_HEADERS.map((name) => [name, { schema: text, description: 'Where the tenant has this limit' }]),
  ]);
  for (const [path, item] of Object.entries(document.paths!)) {
    for (const operation of Object.values(item) as Operation[]) complete(operation, path);
  }
  return document;
}

function complete(operation: Operation, path: string): void {
  const id = operation.operationId!;
  const codes = codesOf(operation);
  operation.tags = [Object.entries(TAGS).find(([beginning]) => path.startsWith(beginning))![1]];
  const asked = ['X-Request-Id', ...(ASKED[id] ?? [])] as (keyof typeof REQUEST_HEADERS)[];
  operation.parameters = [...(operation.parameters ?? []), ...asked.map(asParameter)];
  const ofLimits = operation.security?.length === 0 ? [] : LIMIT_HEADERS;
  for (const response of Object.values(operation.responses!)) {
    response.headers = headersOf(['X-Request-Id', ...ofLimits, ...(GIVEN[id] ?? [])]);
  }
  for (const status of new Set(codes.map((code) => ERROR_STATUS[code]))) {
    operation.responses![status] = problemOf(
      status,
      codes.filter((code) => ERROR_STATUS[code] === status),
      ofLimits,
    );
  }
}

function codesOf({ operationId, security, parameters = [], requestBody }: Operation): ErrorCode[] {
  const content = requestBody && 'content' in requestBody ? requestBody.content : undefined;
  const isChecked = content || parameters.some((one) => 'in' in one && one.in !== 'path');
  return [
    ...ANY,
    ...(security?.length === 0 ? [] : WITH_KEY),
    ...(isChecked ? WITH_INPUT : []),
    ...(content ? WITH_BODY : []),
    ...(content && 'application/json' in content ? WITH_JSON : []),
    ...(OF_OPERATION[operationId!] ?? []),
  ];
}

function asParameter(name: keyof typeof REQUEST_HEADERS) {
  const [schema, description] = REQUEST_HEADERS[name];
  return { name, in: 'header' as const, required: false, schema, description };
}

function headersOf(names: readonly string[]) {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function problemOf(status: number, codes: readonly ErrorCode[], ofLimits: readonly string[]) {
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: headersOf(['X-Request-Id', ...ofLimits, ...(GIVEN_WITH[status] ?? [])]),
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
}
