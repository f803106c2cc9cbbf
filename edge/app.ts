import { OpenAPIHono } from '@hono/zod-openapi';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { AppError } from '../shared/errors.ts';
import { openDb } from './db/client.ts';
import type { AppEnv } from './http/app-env.ts';
import { describeApi } from './http/openapi.ts';
import { respondWithError } from './http/problems.ts';
import { invalidRequest } from './invalid-request.ts';
import { requireNode, requireTenant } from './middleware/auth.ts';
import { crossOrigin } from './middleware/cross-origin.ts';
import { knownHost } from './middleware/known-host.ts';
import { knownQuery } from './middleware/known-query.ts';
import { limitRequests, limitStorage, limitTokens, showQueued } from './middleware/limits.ts';
import { plainBody } from './middleware/request-body.ts';
import { nameRequest } from './middleware/request-id.ts';
import { NodeClient } from './nodes/node-client.ts';
import { adapterExport } from './routes/adapter-export.ts';
import { adapterFiles } from './routes/adapter-files.ts';
import { adapterImport } from './routes/adapter-import.ts';
import { adapters } from './routes/adapters.ts';
import { aliases } from './routes/aliases.ts';
import { consolePages } from './routes/console.ts';
import { evaluations } from './routes/evaluations.ts';
import { fileReports } from './routes/file-reports.ts';
import { files } from './routes/files.ts';
import { fleet } from './routes/fleet.ts';
import { health } from './routes/health.ts';
import { inference } from './routes/inference.ts';
import { internalFiles } from './routes/internal-files.ts';
import { internalJobs } from './routes/internal-jobs.ts';
import { internalNodes } from './routes/internal-nodes.ts';
import { internalTasks } from './routes/internal-tasks.ts';
import { jobEvents } from './routes/job-events.ts';
import { jobs } from './routes/jobs.ts';
import { keys } from './routes/keys.ts';
import { models } from './routes/models.ts';

export const app = new OpenAPIHono<AppEnv>({
  defaultHook: (result) => {
    if (!result.success) throw invalidRequest(result.error);
  },
});

// Paths whose requests a limit of tenants is about.
const CLASSIFYING = ['/v1/classify', '/v1/moderations'];
const QUEUEING = ['/v1/adapters', '/v1/fine_tuning/jobs'];
const STORING = [...QUEUEING, '/v1/adapters/import', '/v1/files'];

/** The methods of a path that a route names as it is: `{id}` of another route would take `import` too, and finds nothing of that name. */
function methodsOf(path: string): string[] | undefined {
  const named = app.routes.filter((route) => route.path === path && route.method !== 'ALL');
  const methods = new Set(named.map(({ method }) => method));
  if (methods.has('GET')) methods.add('HEAD');
  return methods.size > 0 ? [...methods] : undefined;
}

app.onError(respondWithError);
app.notFound((c) => respondWithError(new AppError('not_found', `There is no ${c.req.path}.`), c));

app.use(nameRequest);
app.use(knownHost);
app.use('/v1/*', crossOrigin);
app.use(
  methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) => {
      const allow = (methodsOf(c.req.path) ?? methods).join(', ');
      const message = `${c.req.path} takes ${allow}, not ${c.req.method}.`;
      const response = respondWithError(new AppError('method_not_allowed', message), c);
      response.headers.set('allow', allow);
      return response;
    },
  }),
);
app.route('/', consolePages);
app.use(async (c, next) => {
  c.set('db', openDb(c.env.DB));
  c.set('nodes', new NodeClient(c.env.NODE_SECRET, c.get('requestId')));
  await next();
});
app.use('/v1/*', requireTenant);
app.use('/v1/*', limitRequests);
for (const path of CLASSIFYING) app.use(path, limitTokens);
for (const path of STORING) app.use(path, limitStorage);
for (const path of QUEUEING) app.use(path, showQueued);
app.use('/internal/*', requireNode);
app.use(knownQuery(app));
app.use(plainBody);

app.route('/', health);
app.route('/', adapters);
app.route('/', adapterFiles);
app.route('/', adapterExport);
app.route('/', adapterImport);
app.route('/', aliases);
app.route('/', files);
app.route('/', fileReports);
app.route('/', jobs);
app.route('/', jobEvents);
app.route('/', inference);
app.route('/', models);
app.route('/', fleet);
app.route('/', keys);
app.route('/', evaluations);
app.route('/', internalNodes);
app.route('/', internalJobs);
app.route('/', internalFiles);
app.route('/', internalTasks);

let document: ReturnType<typeof describeApi> | undefined;
app.get('/openapi.json', (c) => {
  document ??= describeApi(app);
  return c.json(document);
});
