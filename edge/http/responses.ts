import { z } from '@hono/zod-openapi';

/** Registers a schema under a name among the document's components. */
export function named<T extends z.ZodType>(name: string, schema: T): T {
  // A schema made before the OpenAPI extension was loaded lacks `openapi`; a copy has it.
  return schema.clone().openapi(name);
}

/** A route's JSON answer, for `createRoute({ responses })`. `edge/http/openapi.ts` lists its errors. */
export function json<T extends z.ZodType>(description: string, schema: T) {
  return { description, content: { 'application/json': { schema } } };
}

/** A route's JSON body, for `createRoute({ request: { body } })`. */
export function jsonRequest<T extends z.ZodType>(schema: T) {
  return { required: true, content: { 'application/json': { schema } } };
}

/** A file of a form. It has no `type`, because JSON Schema has none for bytes; so a generated client takes any kind of file. */
interface FormFile {
  description: string;
  optional?: boolean;
}

/**
 * A route's form, for `createRoute({ request: { body } })`: files, and the fields that `fields` reads. The form is plain JSON Schema, for
 * the document alone: validating it by zod would hold the whole form in memory.
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
