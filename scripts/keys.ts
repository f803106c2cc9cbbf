/**
 * Makes and revokes client keys: `npm run keys -- create TENANT`, `npm run keys -- revoke TENANT`; with `--remote` those
 * of the deployed edge. Only a key's SHA-256 is stored, so a key is shown once and cannot be shown again.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { homeFolder, persistFolder } from './home.ts';

const WRANGLER = fileURLToPath(new URL('../node_modules/wrangler/bin/wrangler.js', import.meta.url));
const CONFIG = fileURLToPath(new URL('../wrangler.toml', import.meta.url));
const USAGE = `usage: npm run keys -- create|revoke TENANT [--remote]
  TENANT has 1 to 63 letters, digits, "-" and "_"; revoke ends all keys of the tenant.
  Without --remote the keys are those of the local edge, which must have been started once.`;

async function execute(sql: string, remote: boolean): Promise<unknown[]> {
  const place = remote ? ['--remote'] : ['--local', '--persist-to', persistFolder(homeFolder())];
  const args = ['d1', 'execute', 'weft', '--config', CONFIG, '--json', '--yes', '--command', sql, ...place];
  const { stdout } = await promisify(execFile)(process.execPath, [WRANGLER, ...args]).catch((cause) => {
    throw new Error(`wrangler could not change the keys: ${complaint(cause)}`, { cause });
  });
  const [{ results }] = JSON.parse(stdout.slice(stdout.indexOf('[')));
  return results;
}

/** What wrangler says is wrong, which with --json is on its output. */
function complaint({ stdout, stderr }: { stdout?: string; stderr?: string }): string {
  try {
    return JSON.parse(stdout ?? '').error.text;
  } catch {
    return `${stderr ?? ''}${stdout ?? ''}`.trim();
  }
}

async function create(tenant: string, remote: boolean): Promise<void> {
  const key = `weft-${randomBytes(24).toString('base64url')}`;
  const hash = createHash('sha256').update(key).digest('hex');
  await execute(
    `INSERT INTO api_keys (hash, tenant, created_at) VALUES ('${hash}', '${tenant}', unixepoch())`,
    remote,
  );
  console.log(`${key}\nThis is the key of ${tenant}; it is not shown again.`);
}

async function revoke(tenant: string, remote: boolean): Promise<void> {
  const revoked = await execute(
    `UPDATE api_keys SET revoked_at = unixepoch() WHERE tenant = '${tenant}' AND revoked_at IS NULL RETURNING hash`,
    remote,
  );
  console.log(`revoked ${revoked.length} key${revoked.length === 1 ? '' : 's'} of ${tenant}`);
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { remote: { type: 'boolean', default: false } },
  });
  const [action, tenant, ...rest] = positionals;
  const run = { create, revoke }[action ?? ''];
  // The tenant goes into SQL: its alphabet is what keeps it harmless.
  if (!run || !tenant || rest.length > 0 || !/^[A-Za-z0-9_-]{1,63}$/.test(tenant)) throw new Error(USAGE);
  await run(tenant, values.remote);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
