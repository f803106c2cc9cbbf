import { isAbsolute } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from '../../../gpu-node/config.ts';

const secret = { WEFT_NODE_SECRET: 'a-shared-secret' };

describe('readConfig', () => {
  it('needs nothing but the secret', () => {
    const config = readConfig(secret);
    expect(config).toMatchObject({ edgeUrl: 'http://127.0.0.1:8787', port: 0, device: 'cpu', slots: 64 });
    expect(isAbsolute(config.home)).toBe(true);
  });

  it('takes an empty variable as unset', () => {
    expect(readConfig({ ...secret, WEFT_NODE_PORT: '', WEFT_NODE_URL: '' }).nodeUrl).toBeUndefined();
  });

  it('names every variable that cannot be used, and shows none of their values', () => {
    const read = () =>
      readConfig({ WEFT_NODE_SECRET: 'short', WEFT_NODE_PORT: '70000', WEFT_EDGE_URL: 'ftp://x' });
    expect(read).toThrow(ConfigError);
    for (const name of ['WEFT_NODE_SECRET', 'WEFT_NODE_PORT', 'WEFT_EDGE_URL']) expect(read).toThrow(name);
    expect(read).not.toThrow('short');
  });
});
