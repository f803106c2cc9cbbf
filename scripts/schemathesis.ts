/**
 * Checks the API against its OpenAPI document by schemathesis, with all checks on, over the whole platform with a tiny base model: `npm run
 * schemathesis`, with `-- --seconds 600` for longer. The requests are the same in every run of one version.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { homeFolder } from './home.ts';
import { numberOptions } from './number-options.ts';
import { runCommand, virtualPython } from './parity/python.ts';
import { startPlatform } from './platform.ts';

const REQUIREMENTS = 'scripts/schemathesis/requirements.txt';
const CONFIG = 'scripts/schemathesis/schemathesis.toml';
const BASE_MODEL = 'test/fixtures/tiny-bert';
const MAX_EXAMPLES = 20;
const SEED = 1;

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '120' } } });
const { seconds } = numberOptions(values, ['seconds']);
const python = await virtualPython(join(homeFolder(), 'schemathesis'), REQUIREMENTS);
const home = await mkdtemp(join(tmpdir(), 'weft-schemathesis-'));
try {
  const nodeEnv = { WEFT_BASE_MODEL: BASE_MODEL, WEFT_THREADS: '1' };
  await using platform = await startPlatform({ port: 0, home, nodeEnv, log: () => {} });
  const options = {
    header: `Authorization: Bearer ${platform.key}`,
    'max-examples': MAX_EXAMPLES,
    'max-time': seconds,
    seed: SEED,
    'generation-database': 'none',
    'suppress-health-check': 'all',
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const command = ['-m', 'schemathesis.cli', '--config-file', CONFIG, 'run', `${platform.url}/openapi.json`];
  await runCommand(python, [...command, ...args]);
} finally {
  await rm(home, { recursive: true, force: true });
}
