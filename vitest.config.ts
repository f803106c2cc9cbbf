import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { buildConsole } from './scripts/build-console.ts';

// wrangler reads the secrets that wrangler.toml requires from here.
process.env.NODE_SECRET = 'node-secret-of-tests';

const workerd = cloudflareTest(async () => {
  await buildConsole();
  return {
    wrangler: { configPath: './wrangler.toml' },
    miniflare: { bindings: { TEST_MIGRATIONS: await readD1Migrations('migrations') } },
  };
});

// Patience for a busy machine; no test passes or fails by how long something took.
const patience = { testTimeout: 30_000, expect: { poll: { timeout: 10_000 } } };

export default defineConfig({
  test: {
    projects: [
      { test: { ...patience, name: 'pure', include: ['test/pure/**/*.test.ts'] } },
      {
        plugins: [workerd],
        test: {
          ...patience,
          name: 'workerd',
          include: ['test/workerd/**/*.test.ts'],
          setupFiles: ['test/workerd/support/migrations.ts'],
        },
      },
      {
        test: {
          ...patience,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          pool: 'forks',
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        // The console in Chromium, on a platform of real processes.
        test: {
          ...patience,
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          pool: 'forks',
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        // Platforms under load whose parts are killed, paused and starved: `npm run test:long`.
        test: {
          ...patience,
          name: 'long',
          include: ['test/long/**/*.test.ts'],
          pool: 'forks',
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          ...patience,
          name: 'ort',
          include: ['test/ort/**/*.test.ts'],
          pool: 'forks',
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
