import type { Adapter, Alias, AliasChange, Dataset, Fleet, Job, List, Model } from './types.ts';

/** A GET by its path, which names what it gives in the store. */
export interface Get<T> {
  readonly path: string;
  /** Never there: it ties the type of what comes to the path. */
  readonly gives?: T;
}
/** A GET of a list, whose pages follow each other. */
export interface GetList<T> extends Get<List<T>> {
  readonly isList: true;
}

const one = <T>(path: string): Get<T> => ({ path });
const list = <T>(path: string): GetList<T> => ({ path, isList: true });
const id = encodeURIComponent;

export const adapters = (name?: string) =>
  list<Adapter>(`/v1/adapters?limit=100${name === undefined ? '' : `&name=${id(name)}`}`);
export const adapter = (ref: string) => one<Adapter>(`/v1/adapters/${id(ref)}`);
export const aliases = (name: string) => list<Alias>(`/v1/adapters/${id(name)}/aliases`);
export const aliasHistory = (name: string, alias: string) =>
  list<AliasChange>(`/v1/adapters/${id(name)}/aliases/${id(alias)}/history?limit=100`);
export const jobs = () => list<Job>('/v1/fine_tuning/jobs?limit=100');
export const job = (jobId: string) => one<Job>(`/v1/fine_tuning/jobs/${id(jobId)}`);
export const datasets = () => list<Dataset>('/v1/files?purpose=fine-tune&limit=100');
export const dataset = (fileId: string) => one<Dataset>(`/v1/files/${id(fileId)}`);
export const models = () => list<Model>('/v1/models');
export const fleet = () => one<Fleet>('/v1/fleet');
export const openApi = () => one<OpenApi>('/openapi.json');

/** The part of `/openapi.json` that the form reads. */
export interface OpenApi {
  paths: Record<string, unknown>;
  components: { schemas: Record<string, JsonSchema> };
}

export interface JsonSchema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  additionalProperties?: boolean | JsonSchema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  pattern?: string;
  default?: unknown;
  description?: string;
  /** What "auto" comes to, in words. */
  'x-auto'?: string;
}
