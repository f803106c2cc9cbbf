import { Hono } from 'hono';
import { AppError } from '../../shared/errors.ts';
import type { AppEnv } from '../http/app-env.ts';

/**
 * What the console's page may do: run its own script, use its own style, and call this edge. Neither a text of a dataset nor a mistake can
 * add a script, an inline style or a request to another host.
 */
const PAGE_HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * The console, a page over the public API: its assets need no key. They come before the API's middleware, because a place's address has a
 * query of its own and opens no database.
 */
export const consolePages = new Hono<AppEnv>();

consolePages.get('/', (c) => {
  if (!c.req.header('accept')?.includes('text/html')) throw new AppError('not_found', 'There is no /.');
  return c.redirect('/console/');
});

consolePages.get('/console', (c) => c.redirect('/console/'));

consolePages.get('/console/assets/*', async (c) => {
  const asset = await c.env.ASSETS.fetch(c.req.raw);
  if (asset.status === 404) throw new AppError('not_found', `There is no ${c.req.path}.`);
  return withHeaders(asset, { 'x-content-type-options': 'nosniff' });
});

// Every other address is one of the page's places.
consolePages.get('/console/*', async (c) => {
  const page = await c.env.ASSETS.fetch(new Request(new URL('/console/', c.req.url), c.req.raw));
  return withHeaders(page, PAGE_HEADERS);
});

function withHeaders(asset: Response, headers: Record<string, string>): Response {
  const answer = new Response(asset.body, asset);
  for (const [name, value] of Object.entries(headers)) answer.headers.set(name, value);
  return answer;
}
