import { createMiddleware } from 'hono/factory';
import { AppError } from '../../shared/errors.ts';
import type { AppEnv } from '../http/app-env.ts';
import { gunzipBody } from '../upload/request-bytes.ts';

/** Content codings that the edge reads (RFC 9110, section 8.4.1). */
const CODINGS = ['gzip', 'identity'];

/**
 * Makes every request readable for routes. A compressed body is unpacked while it is read, so that each route's limits count unpacked
 * bytes; and every JSON content type becomes the one name that Hono's validators know.
 */
export const plainBody = createMiddleware<AppEnv>(async (c, next) => {
  const { raw } = c.req;
  const given = raw.headers.get('content-type');
  const type = given && nameOfJson(given);
  const coding = codingOf(raw.headers.get('content-encoding'));
  if (type === given && coding === 'identity') return next();
  const headers = new Headers(raw.headers);
  if (type) headers.set('content-type', type);
  headers.delete('content-encoding');
  if (coding === 'identity' || !raw.body) {
    c.req.raw = new Request(raw, { headers });
  } else {
    headers.delete('content-length');
    c.req.raw = new Request(raw, { headers, body: gunzipBody(raw.body) });
  }
  await next();
});

/** The content type of JSON without parameters; any other stays as it is. */
function nameOfJson(contentType: string): string {
  const [essence = '', ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase());
  if (!/^application\/([\w.-]+\+)?json$/.test(essence)) return contentType;
  const charset = parameters.map((one) => /^charset="?([^"]*)"?$/.exec(one)?.[1]).find(Boolean) ?? 'utf-8';
  if (/^(utf-?8|us-ascii)$/.test(charset)) return essence;
  throw new AppError('unsupported_media_type', `JSON is UTF-8, not ${charset}.`);
}

function codingOf(header: string | null): string {
  const coding = (header ?? 'identity')
    .trim()
    .toLowerCase()
    .replace(/^x-gzip$/, 'gzip');
  if (CODINGS.includes(coding)) return coding;
  const message = `A body may come as it is or as gzip, in Content-Encoding, not as ${coding}.`;
  throw new AppError('unsupported_media_type', message, { acceptEncoding: CODINGS });
}
