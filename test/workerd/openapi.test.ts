import { beforeAll, describe, expect, it } from 'vitest';
import { call } from './support/api.ts';

// What each answer of the API is held against is `checkDocumented` in support/api.ts, on every call of every test.
describe('GET /openapi.json', () => {
  // biome-ignore lint/suspicious/noExplicitAny: what a document holds is what the tests assert
  let document: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  let operations: any[];
  beforeAll(async () => {
    document = (await call(undefined, '/openapi.json')).body;
    operations = Object.values(document.paths).flatMap((item) => Object.values(item as object));
  });

  const bodyOf = (path: string) => {
    const [schema] = Object.values(document.paths[path].post.requestBody.content) as { schema: object }[];
    return schema!.schema as { required: string[]; properties: Record<string, object> };
  };

  it('gives every operation an id of its own and a tag, and keeps the nodes’ to itself', () => {
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(['createAdapter', 'uploadFile', 'classify', 'cancelJob']));
    const tags = document.tags.map(({ name }: { name: string }) => name);
    for (const operation of operations) expect(tags).toContain(operation.tags[0]);
    expect(Object.keys(document.paths).some((path) => path.startsWith('/internal'))).toBe(false);
  });

  it('says which part of an upload is a file, and that it is required', () => {
    const file = { format: 'binary', contentMediaType: 'application/octet-stream' };
    expect(bodyOf('/v1/files').required).toEqual(['file', 'purpose']);
    expect(bodyOf('/v1/files').properties.file).toMatchObject(file);
    expect(bodyOf('/v1/adapters/import').required).toEqual(['adapter_config.json', 'name']);
    expect(bodyOf('/v1/adapters/import').properties['adapter_model.safetensors']).toMatchObject(file);
  });

  it('wants exactly one of a training file and examples', () => {
    const { oneOf } = document.components.schemas.CreateAdapter;
    expect(oneOf).toEqual([{ required: ['training_file'] }, { required: ['examples'] }]);
  });

  it('counts the items of a page', () => {
    const { parameters } = document.paths['/v1/files'].get;
    const limit = parameters.find(({ name }: { name: string }) => name === 'limit');
    expect(limit.schema).toMatchObject({ type: 'integer', minimum: 1 });
  });

  it('says how metadata narrows a list of jobs', () => {
    const { parameters } = document.paths['/v1/fine_tuning/jobs'].get;
    const metadata = parameters.find(({ name }: { name: string }) => name === 'metadata');
    expect(metadata).toMatchObject({ in: 'query', style: 'deepObject', explode: true, required: false });
  });

  it('names its schemas', () => {
    const named = ['Adapter', 'AdapterList', 'CreateAdapter', 'File', 'Job', 'JobEvent', 'ClassifyRequest'];
    expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining(named));
    const { schema } = document.paths['/v1/adapters'].get.responses[200].content['application/json'];
    expect(schema).toEqual({ $ref: '#/components/schemas/AdapterList' });
    expect(document.components.schemas.AdapterList.properties.data.items).toEqual({
      $ref: '#/components/schemas/Adapter',
    });
  });

  it('gives errors by their status and none for all, with the headers that clients act on', () => {
    for (const { operationId, responses } of operations) {
      expect(responses, operationId).not.toHaveProperty('default');
      expect(responses[500].content, operationId).toHaveProperty('application/problem+json');
      for (const response of Object.values(responses) as { headers: object }[]) {
        expect(response.headers).toHaveProperty('X-Request-Id');
      }
    }
    const { post } = document.paths['/v1/adapters'];
    expect(Object.keys(post.responses)).toEqual([
      '202',
      '400',
      '401',
      '404',
      '409',
      '413',
      '415',
      '422',
      '429',
      '500',
      '503',
    ]);
    expect(post.responses[409].description).toContain('`idempotency_conflict`');
    expect(post.responses[429].headers).toHaveProperty('Retry-After');
    expect(post.responses[202].headers).toHaveProperty('Location');
    const parameters = post.parameters.map(({ name }: { name: string }) => name);
    expect(parameters).toEqual(['X-Request-Id', 'Idempotency-Key']);
    const classify = document.paths['/v1/classify'].post;
    expect(classify.responses[200].headers).toHaveProperty('Server-Timing');
    expect(classify.parameters.map(({ name }: { name: string }) => name)).toContain('x-timeout-ms');
  });
});
