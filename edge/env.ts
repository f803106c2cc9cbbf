/** What `wrangler.toml` binds. `NODE_SECRET` is a secret: the word that nodes and edge share, apart from client keys. */
export interface Env {
  DB: D1Database;
  BUCKET: R2Bucket;
  NODE_SECRET: string;
  /** Training jobs of one tenant that may wait at once. */
  MAX_QUEUED_JOBS: number;
  /** Origins whose pages may call the API, with commas between them; "*" is any. */
  CORS_ORIGINS: string;
  /** Host names that requests may be for, with commas between them; with none, any. */
  ALLOWED_HOSTS: string;
}
