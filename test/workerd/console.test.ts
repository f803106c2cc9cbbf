import { exports } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { call, problemOf } from './support/api.ts';

const get = (path: string, headers: Record<string, string> = {}) =>
  exports.default.fetch(new Request(`https://edge.test${path}`, { headers, redirect: 'manual' }));

describe('the console’s addresses', () => {
  it('lead a browser from the root to the page, and tell a program that there is nothing', async () => {
    const browser = await get('/', { accept: 'text/html,application/xhtml+xml' });
    expect([browser.status, browser.headers.get('location')]).toEqual([302, '/console/']);
    expect((await get('/console')).headers.get('location')).toBe('/console/');
    expect(problemOf(await call(undefined, '/'))).toMatchObject({ status: 404, code: 'not_found' });
  });

  it('give the page without a key, wherever in it they lead and whatever their query', async () => {
    for (const path of ['/console/', '/console/adapters/spam.v2@3', '/console/compare?adapters=a,b']) {
      const { status, headers, body } = await call(undefined, path);
      expect(status).toBe(200);
      expect(headers.get('content-type')).toContain('text/html');
      expect(body).toContain('/console/assets/main.js');
    }
  });

  it('come with a policy that lets the page run its own script alone, and ask this edge alone', async () => {
    const { headers } = await call(undefined, '/console/training');
    const policy = headers.get('content-security-policy')!.split('; ');
    expect(policy).toEqual(
      expect.arrayContaining([
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
      ]),
    );
    expect(policy.join()).not.toContain('unsafe');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('of assets give script, style and icon by their types, and nothing for what is not there', async () => {
    const types = { 'main.js': 'javascript', 'main.css': 'css', 'icon.svg': 'svg' };
    for (const [name, type] of Object.entries(types)) {
      const asset = await get(`/console/assets/${name}`);
      expect(asset.headers.get('content-type')).toContain(type);
      expect(asset.headers.get('x-content-type-options')).toBe('nosniff');
      await asset.body?.cancel();
    }
    expect(problemOf(await call(undefined, '/console/assets/other.js'))).toMatchObject({ status: 404 });
  });

  it('take nothing but GET', async () => {
    const answer = await call(undefined, '/console/training', { method: 'POST', body: 'x' });
    expect(problemOf(answer)).toMatchObject({ status: 405, code: 'method_not_allowed' });
  });
});
