/** The bindings of `wrangler.toml`. `NODE_SECRET` is the secret that nodes and edge share, apart from client keys. */
export interface Env {
  DB: D1Database;
  BUCKET: R2Bucket;
  /** The console's page, script and style. */
  ASSETS: Fetcher;
  NODE_SECRET: string;
  // What a tenant may do that has no limits of its own; 0 is without a limit.
  MAX_REQUESTS_PER_MINUTE: number;
  /** Of classifications. */
  MAX_TOKENS_PER_MINUTE: number;
  /** Most training jobs of one tenant that may wait at once. */
  MAX_QUEUED_JOBS: number;
  /** Of datasets and adapters. */
  MAX_STORED_BYTES: number;
  /** Origins whose pages may call the API, separated by commas; "*" allows any. */
  CORS_ORIGINS: string;
  /** Host names that requests may be for, separated by commas; an empty list allows any. */
  ALLOWED_HOSTS: string;
}
