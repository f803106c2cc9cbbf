import { z } from '@hono/zod-openapi';

/** A schema under its name among the document's components. */
export function named<T extends z.ZodType>(name: string, schema: T): T {
  // A schema that was made before the OpenAPI extension was loaded lacks its method; a copy has it.
  return schema.clone().openapi(name);
}

/** A route's JSON answer, for `createRoute({ responses })`. What it may refuse with is said in `edge/http/openapi.ts`. */
export function json<T extends z.ZodType>(description: string, schema: T) {
  return { description, content: { 'application/json': { schema } } };
}

/** A route's JSON body, for `createRoute({ request: { body } })`. */
export function jsonRequest<T extends z.ZodType>(schema: T) {
  return { required: true, content: { 'application/json': { schema } } };
}

/** A file of a form. It has no `type`, as JSON Schema has none for bytes, so that a generated client takes any kind of file. */
interface FormFile {
  description: string;
  optional?: boolean;
}

/**
 * A route's form, for `createRoute({ request: { body } })`: files, and the fields that `fields` reads. Given as JSON Schema,
 * which is for the document alone: what checks a form by zod holds it whole.
 */
export function form(files: Readonly<Record<string, FormFile>>, fields: z.ZodObject) {
  const { properties, required = [] } = z.toJSONSchema(fields, { io: 'input', unrepresentable: 'any' });
  const bytes = { format: 'binary', contentMediaType: 'application/octet-stream' };
  const ofFiles = Object.entries(files).map(([name, { description }]) => [name, { ...bytes, description }]);
  const requiredFiles = Object.keys(files).filter((name) => !files[name]!.optional);
  const schema = {
    type: 'object' as const,
    properties: { ...Object.fromEntries(ofFiles), ...properties } as Record<string, object>,
    required: [...requiredFiles, ...required],
    additionalProperties: false,
  };
  return { required: true, content: { 'multipart/form-data': { schema } } };
}
