import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { peftConfig } from '../../shared/peft-config.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Import {
  file: string;
  /** A path from the root for a relative import, else the package's name. */
  target: string;
}

/** Every static and dynamic import of a folder's modules; those in comments are not any. */
function importsOf(folder: string): Import[] {
  const files = globSync(`${folder}/**/*.{ts,tsx}`, { cwd: ROOT }).map((file) => file.replaceAll('\\', '/'));
  return files.flatMap((file) => {
    const code = readFileSync(ROOT + file, 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
    const specifiers = [...code.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!);
    return specifiers.map((specifier) => ({
      file,
      target: specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier,
    }));
  });
}

const isIn = (folder: string) => (target: string) => target.startsWith(`${folder}/`);
const isPackage = (target: string) =>
  !/^(shared|edge|console|gpu-node|cli|scripts|test|bench)\//.test(target);
const edge = importsOf('edge');
const node = importsOf('gpu-node');
const shared = importsOf('shared');
const page = importsOf('console');
const cli = importsOf('cli');

describe('the layout', () => {
  it('keeps edge, node and command line apart: each imports shared, none another', () => {
    const allowed = (own: string) => (target: string) =>
      isIn(own)(target) || isIn('shared')(target) || isPackage(target);
    expect(edge.filter(({ target }) => !allowed('edge')(target))).toEqual([]);
    expect(node.filter(({ target }) => !allowed('gpu-node')(target))).toEqual([]);
    expect(cli.filter(({ target }) => !allowed('cli')(target))).toEqual([]);
    expect(edge.length).toBeGreaterThan(100);
    expect(cli.length).toBeGreaterThan(100);
  });

  it('gives the console the public API alone: of the rest it knows shared, and of the schemas there only types', () => {
    const allowed = (target: string) =>
      isIn('console')(target) || isIn('shared')(target) || isPackage(target);
    expect(page.filter(({ target }) => !allowed(target))).toEqual([]);
    expect(page.filter(({ target }) => target === 'zod' || target.startsWith('node:'))).toEqual([
      { file: 'console/api/types.ts', target: 'zod' },
    ]);
    expect(page.length).toBeGreaterThan(50);
  });

  it('lets shared import zod alone', () => {
    expect(shared.filter(({ target }) => target !== 'zod' && !isIn('shared')(target))).toEqual([]);
  });

  it('gives the edge no module of Node', () => {
    expect(edge.filter(({ target }) => target.startsWith('node:'))).toEqual([]);
  });

  it('imports onnxruntime-node in one place', () => {
    const users = [...edge, ...node, ...shared].filter(({ target }) => target.startsWith('onnxruntime'));
    expect(users.map(({ file }) => file)).toEqual(['gpu-node/runtime/session.ts']);
  });

  it('keeps SQL out of the routes and HTTP out of the database', () => {
    const inRoutes = edge.filter(({ file }) => isIn('edge/routes')(file) || isIn('edge/middleware')(file));
    expect(inRoutes.filter(({ target }) => target.startsWith('drizzle'))).toEqual([]);
    const inDb = edge.filter(({ file }) => isIn('edge/db')(file));
    expect(inDb.filter(({ target }) => target.includes('hono'))).toEqual([]);
  });
});

/**
 * The imports within a folder that do not lead downwards. A file may import what lies in its own place and in those before it: a
 * subfolder, a file of the folder's own that is named here, or the ground, which is all other files of its own.
 */
function upwardIn(folder: string, imports: Import[], layers: readonly string[][]): Import[] {
  const placeOf = (path: string) => {
    const [first, ...rest] = path.slice(folder.length + 1).split('/');
    return rest.length > 0 || layers.flat().includes(first!) ? first! : 'ground';
  };
  const layerOf = (place: string) => layers.findIndex((layer) => layer.includes(place));
  return imports.filter(({ file, target }) => {
    if (!isIn(folder)(target)) return false;
    const [from, to] = [placeOf(file), placeOf(target)];
    const isKnown = layerOf(from) >= 0 && layerOf(to) >= 0;
    return !isKnown || (from !== to && layerOf(to) >= layerOf(from));
  });
}

describe('the layers', () => {
  it('of the node lead downwards', () => {
    const layers = [
      ['ground'],
      ['graph'],
      ['ops'],
      ['autograd', 'runtime', 'data', 'weights'],
      ['precision'],
      ['models'],
      ['parts'],
      ['methods'],
      ['export'],
      ['train', 'serve', 'tasks'],
      ['daemon'],
      ['main.ts'],
    ];
    expect(upwardIn('gpu-node', node, layers)).toEqual([]);
  });

  it('of the edge lead downwards', () => {
    const layers = [
      ['ground'],
      ['db', 'upload'],
      ['objects', 'nodes', 'jobs'],
      ['inference'],
      ['adapters', 'evaluations'],
      ['http'],
      ['middleware'],
      ['routes'],
      ['app.ts', 'cron.ts'],
      ['index.ts'],
    ];
    expect(upwardIn('edge', edge, layers)).toEqual([]);
  });

  it('of the console lead downwards: places may use everything, and no place another', () => {
    const layers = [
      ['ground'],
      ['api'],
      ['figures'],
      ['store'],
      ['components'],
      ['places'],
      ['app.tsx'],
      ['main.tsx'],
    ];
    expect(upwardIn('console', page, layers)).toEqual([]);
    const placeOf = (path: string) => path.split('/')[2];
    const inPlaces = page.filter(
      ({ file, target }) => isIn('console/places')(file) && isIn('console/places')(target),
    );
    expect(inPlaces.filter(({ file, target }) => placeOf(file) !== placeOf(target))).toEqual([]);
  });

  it('are told apart: an import upwards, beside, and of a place without a layer', () => {
    const layers = [['ground'], ['db', 'upload'], ['app.ts']];
    const bad = [
      { file: 'edge/clock.ts', target: 'edge/db/client.ts' },
      { file: 'edge/db/client.ts', target: 'edge/upload/rows.ts' },
      { file: 'edge/db/client.ts', target: 'edge/app.ts' },
      { file: 'edge/new/thing.ts', target: 'edge/clock.ts' },
    ];
    const good = [
      { file: 'edge/app.ts', target: 'edge/db/client.ts' },
      { file: 'edge/db/client.ts', target: 'edge/clock.ts' },
      { file: 'edge/db/client.ts', target: 'edge/db/schema.ts' },
      { file: 'edge/clock.ts', target: 'edge/hashing.ts' },
      { file: 'edge/clock.ts', target: 'shared/errors.ts' },
    ];
    expect(upwardIn('edge', [...bad, ...good], layers)).toEqual(bad);
  });
});

describe('a method', () => {
  it('is told from others by the tables alone', () => {
    const types = peftConfig.options.map(({ shape }) => shape.type.value).join('|');
    const tellsApart = new RegExp(`[!=]==? '(?:${types})'|case '(?:${types})'`);
    const tables = ['gpu-node/methods', 'shared/methods'];
    const files = ['shared', 'edge', 'gpu-node'].flatMap((folder) =>
      globSync(`${folder}/**/*.ts`, { cwd: ROOT }),
    );
    const others = files
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => !tables.some((folder) => isIn(folder)(file)));
    expect(others.filter((file) => tellsApart.test(readFileSync(ROOT + file, 'utf8')))).toEqual([]);
    expect(tellsApart.test("if (method.type === 'lora')")).toBe(true);
  });
});
