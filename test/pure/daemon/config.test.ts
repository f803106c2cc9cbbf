import { isAbsolute } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from '../../../gpu-node/daemon/config.ts';

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

  it('takes base models as a list with commas between them, blanks within a path kept', () => {
    const read = (list: string) => readConfig({ ...secret, WEFT_BASE_MODEL: list }).baseModels;
    expect(read('')).toEqual(['minilm-l6-384']);
    expect(read('/models/my bert')).toEqual(['/models/my bert']);
    expect(read(' minilm-l6-384 , C:\\models\\a b,../c ')).toEqual([
      'minilm-l6-384',
      'C:\\models\\a b',
      '../c',
    ]);
    expect(() => read('a,,b')).toThrow('WEFT_BASE_MODEL: must be ids or folders with commas between them');
    expect(() => read(Array(17).fill('a').join())).toThrow('WEFT_BASE_MODEL: names more than 16 base models');
  });

  it('has a queue for the largest request beside as much free room', () => {
    const read = (tokens: number) => readConfig({ ...secret, WEFT_QUEUE_TOKENS: String(tokens) });
    expect(read(2 * 256 * 512).queueTokens).toBe(262_144);
    expect(() => read(2 * 256 * 512 - 1)).toThrow('WEFT_QUEUE_TOKENS');
  });

  it('saves training every half minute, unless told otherwise', () => {
    const read = (seconds: string) =>
      readConfig({ ...secret, WEFT_CHECKPOINT_SECONDS: seconds }).checkpointSeconds;
    expect([read(''), read('0'), read('2.5')]).toEqual([30, 0, 2.5]);
    expect(() => read('-1')).toThrow('WEFT_CHECKPOINT_SECONDS');
    expect(() => read('often')).toThrow('WEFT_CHECKPOINT_SECONDS');
  });

  it('names every variable that cannot be used, and shows none of their values', () => {
    const read = () =>
      readConfig({ WEFT_NODE_SECRET: 'short', WEFT_NODE_PORT: '70000', WEFT_EDGE_URL: 'ftp://x' });
    expect(read).toThrow(ConfigError);
    for (const name of ['WEFT_NODE_SECRET', 'WEFT_NODE_PORT', 'WEFT_EDGE_URL']) expect(read).toThrow(name);
    expect(read).not.toThrow('short');
  });
});
