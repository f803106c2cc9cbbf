import type { Writable } from 'node:stream';

export type LogLevel = 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Writes one line per event: JSON for machines, plain words for a person who watches. Never give it a secret or a text. */
export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** The log's reader is gone: further lines are lost, and that is no reason to end. */
const lost = () => {};

export function createLog(out: Writable, human: boolean, now: () => Date = () => new Date()): Log {
  const format = human ? humanLine : jsonLine;
  if (!out.listeners('error').includes(lost)) out.on('error', lost);
  const write =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      out.write(`${format(now(), level, message, fields)}\n`);
    };
  return { info: write('info'), warn: write('warn'), error: write('error') };
}

function jsonLine(time: Date, level: LogLevel, message: string, fields: LogFields): string {
  return JSON.stringify({ time: time.toISOString(), level, message, ...fields });
}

function humanLine(time: Date, level: LogLevel, message: string, fields: LogFields): string {
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`);
  const mark = level === 'info' ? '' : `${level}: `;
  return [time.toISOString().slice(11, 19), `node ${mark}${message}`, ...pairs]
    .join(' ')
    .replaceAll('\n', ' ');
}

/** An error's message with its causes, on one line. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${explain(error.cause)})`;
}
