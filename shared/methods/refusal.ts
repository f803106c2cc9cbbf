import { AppError } from '../errors.ts';

/** Refuses an adapter; `what` names it, e.g. `adapter spam@3`. */
export function fail(what: string, message: string, param?: string): never {
  throw new AppError('invalid_adapter', `${what}: ${message}`, param === undefined ? {} : { param });
}

/** A stranger's name as it may stand in a message. */
export function shown(name: string): string {
  const cut = name.length > 120 ? `${name.slice(0, 120)}…` : name;
  return /^[\w.-]+$/.test(cut) ? cut : JSON.stringify(cut);
}
