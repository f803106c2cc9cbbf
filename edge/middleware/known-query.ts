import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import { AppError } from '../../shared/errors.ts';
import type { AppEnv } from '../http/app-env.ts';

/** Refuses query parameters that the route's schema does not have, so that none is ignored. A route without a schema takes none. */
export function knownQuery(app: OpenAPIHono<AppEnv>): MiddlewareHandler<AppEnv> {
  let parameters: Map<string, string[]> | undefined;
  return async (c, next) => {
    const given = Object.keys(c.req.queries());
    const route = matchedRoutes(c).findLast(({ method }) => method !== 'ALL');
    if (given.length === 0 || !route) return next();
    parameters ??= parametersOf(app);
    const known = parameters.get(`${route.method} ${route.path}`) ?? [];
    const param = given.find((name) => !known.some((one) => isNamed(name, one)));
    if (param === undefined) return next();
    const takes = known.length === 0 ? 'takes none' : `takes ${known.join(', ')}`;
    const message = `There is no query parameter ${JSON.stringify(param)}: ${c.req.method} ${c.req.path} ${takes}.`;
    throw new AppError('unknown_parameter', message, { param });
  };
}

/** The query parameters of every documented route, by method and path in Hono's notation. */
function parametersOf(app: OpenAPIHono<AppEnv>): Map<string, string[]> {
  const routes = app.openAPIRegistry.definitions.flatMap((one) => (one.type === 'route' ? [one.route] : []));
  return new Map(
    routes.map(({ method, path, request }) => {
      const shape = objectIn(request?.query)?.shape ?? {};
      const names = Object.entries(shape).map(([name, schema]) => (isMap(schema) ? `${name}[KEY]` : name));
      return [`${method.toUpperCase()} ${path.replaceAll(/{(.+?)}/g, ':$1')}`, names];
    }),
  );
}

/** The object schema of a query, before or behind its transformations. */
function objectIn(schema: unknown): z.ZodObject | undefined {
  if (schema instanceof z.ZodObject) return schema;
  return schema instanceof z.ZodPipe ? objectIn(schema.out) : undefined;
}

function isMap(schema: unknown): boolean {
  return schema instanceof z.ZodRecord || (schema instanceof z.ZodOptional && isMap(schema.unwrap()));
}

function isNamed(name: string, known: string): boolean {
  if (!known.endsWith('[KEY]')) return name === known;
  return name.startsWith(known.slice(0, -'KEY]'.length)) && name.endsWith(']');
}
