/** Headers that tell of a tenant's limits, beside those of what is left and of when it comes back. */
const KINDS = { requests: true, tokens: true, 'queued-jobs': false, 'stored-bytes': false };

/** All of them, in lower case. */
export const LIMIT_HEADERS = Object.entries(KINDS).flatMap(([kind, comesBack]) =>
  ['limit', 'remaining', ...(comesBack ? ['reset'] : [])].map((part) => `x-ratelimit-${part}-${kind}`),
);
