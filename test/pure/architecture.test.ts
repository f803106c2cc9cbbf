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
  const files = globSync(`${folder}/**/*.ts`, { cwd: ROOT }).map((file) => file.replaceAll('\\', '/'));
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
const isPackage = (target: string) => !/^(shared|edge|gpu-node|scripts|test|bench)\//.test(target);
const edge = importsOf('edge');
const node = importsOf('gpu-node');
const shared = importsOf('shared');

describe('the layout', () => {
  it('keeps edge and node apart: both import shared, neither the other', () => {
    const allowed = (own: string) => (target: string) =>
      isIn(own)(target) || isIn('shared')(target) || isPackage(target);
    expect(edge.filter(({ target }) => !allowed('edge')(target))).toEqual([]);
    expect(node.filter(({ target }) => !allowed('gpu-node')(target))).toEqual([]);
    expect(edge.length).toBeGreaterThan(100);
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
    expect(inDb.filter(({ target }) => /hono|edge\/routes|edge\/middleware/.test(target))).toEqual([]);
  });
});

describe('inside the node', () => {
  /**
   * A file may import what lies in its own place and in those before it. The ground is the files beside the folders, which any may
   * use; `main.ts` starts the daemon.
   */
  const LAYERS = [
    ['ground'],
    ['graph'],
    ['ops'],
    ['autograd', 'runtime', 'data', 'weights'],
    ['precision'],
    ['models'],
    ['parts'],
    ['methods'],
    ['train', 'serve'],
    ['daemon'],
    ['main.ts'],
  ];
  const placeOf = (path: string) => {
    const [, first, ...rest] = path.split('/');
    return rest.length > 0 || first === 'main.ts' ? first! : 'ground';
  };
  const layerOf = (place: string) => LAYERS.findIndex((layer) => layer.includes(place));
  const within = node.filter(({ target }) => isIn('gpu-node')(target));

  it('has a layer for every file', () => {
    expect(
      within.filter(({ file, target }) => layerOf(placeOf(file)) < 0 || layerOf(placeOf(target)) < 0),
    ).toEqual([]);
  });

  it('imports downwards only', () => {
    const upwards = within.filter(({ file, target }) => {
      const [from, to] = [placeOf(file), placeOf(target)];
      return from !== to && layerOf(to) >= layerOf(from);
    });
    expect(upwards).toEqual([]);
  });
});

describe('a method', () => {
  it('is told from others by the tables alone', () => {
    const types = peftConfig.options.map(({ shape }) => shape.type.value).join('|');
    const tellsApart = new RegExp(`[!=]==? '(?:${types})'|case '(?:${types})'`);
    const tables = ['gpu-node/methods', 'shared/formats'];
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
