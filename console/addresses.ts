/** The places of the console, in the order of its navigation. */
export const PLACES = ['data', 'training', 'adapters', 'compare', 'playground', 'fleet'] as const;
export type PlaceName = (typeof PLACES)[number];

/** Where the console is: a place, what is looked at there, and how. An address holds all of it, and nothing secret. */
export interface Place {
  readonly name: PlaceName | 'unknown';
  /** A file, job or adapter; `new` is the training form. */
  readonly id: string | undefined;
  readonly query: URLSearchParams;
}

const ROOT = '/console/';

/** Reads an address of the console; the bare root is where the adapters are. */
export function placeOf({ pathname, search }: Pick<URL, 'pathname' | 'search'>): Place {
  const query = new URLSearchParams(search);
  const [name = '', id, ...rest] = pathname.slice(ROOT.length).split('/').map(decoded);
  if (name === '' && id === undefined) return { name: 'adapters', id: undefined, query };
  const known = PLACES.find((place) => place === name);
  if (known === undefined || rest.some((part) => part !== ''))
    return { name: 'unknown', id: undefined, query };
  return { name: known, id: id || undefined, query };
}

export function addressOf(name: PlaceName, id?: string, query: Record<string, string> = {}): string {
  const given = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''));
  const search = given.size > 0 ? `?${given}` : '';
  return `${ROOT}${name}${id === undefined ? '' : `/${readable(id)}`}${search}`;
}

/** An adapter's id keeps its "@", which a path may hold. */
function readable(id: string): string {
  return encodeURIComponent(id).replaceAll('%40', '@');
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
