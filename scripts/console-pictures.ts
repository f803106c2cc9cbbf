/**
 * Takes the pictures of docs/console.md: starts a platform of its own, fills it with the quickstart's data, and looks at every place.
 * `node scripts/console-pictures.ts [FOLDER]`: with a FOLDER it takes every place whole, light and dark, wide and narrow. WEFT_BASE_MODEL may
 * name a base model at hand.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import type { Adapter } from '../shared/api/adapters.ts';
import type { File } from '../shared/api/datasets.ts';
import { openBrowser } from './browser.ts';
import { type Platform, startPlatform } from './platform.ts';
import { quickstartTasks, type Row } from './quickstart/data.ts';

const FOLDER = process.argv[2] ?? 'docs/console';

interface Shot {
  place: string;
  colorScheme: 'light' | 'dark';
  width: number;
}

const WIDE = 960;
const NARROW = 390;
/** The pictures of the documentation: what is seen at first, of each place. */
const DOCUMENTED: Record<string, Shot> = {
  data: { place: 'file', colorScheme: 'light', width: WIDE },
  form: { place: 'form', colorScheme: 'light', width: WIDE },
  training: { place: 'training', colorScheme: 'dark', width: WIDE },
  adapter: { place: 'adapter', colorScheme: 'light', width: WIDE },
  compare: { place: 'compare', colorScheme: 'dark', width: WIDE },
  playground: { place: 'playground', colorScheme: 'light', width: WIDE },
  fleet: { place: 'fleet', colorScheme: 'dark', width: WIDE },
  phone: { place: 'training', colorScheme: 'light', width: NARROW },
};
const PATIENCE_MS = 120_000;
/** For charts to be drawn; a picture that is taken too early is taken again. */
const SETTLE_MS = 500;

async function call<T>({ url, key }: Platform, path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(url + path, {
    ...init,
    headers: { authorization: `Bearer ${key}`, ...init.headers },
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

async function upload(platform: Platform, name: string, rows: readonly Row[]): Promise<string> {
  const body = new FormData();
  body.set('purpose', 'fine-tune');
  body.set('file', new Blob([rows.map((row) => `${JSON.stringify(row)}\n`).join('')]), name);
  return (await call<File>(platform, '/v1/files', { method: 'POST', body })).id;
}

interface Filled {
  heldOut: string;
  jobId: string;
}

/** Two versions of one adapter and one of another, trained one after the other. */
async function fill(platform: Platform): Promise<Filled> {
  const [spam, century] = quickstartTasks();
  const heldOut = await upload(platform, 'mails-held-out.jsonl', spam.heldOut);
  const mails = await upload(platform, 'mails.jsonl', spam.train);
  const speeches = await upload(platform, 'speeches.jsonl', century.train);
  let jobId = '';
  for (const [name, training_file, epochs] of [
    ['spam', mails, 1],
    ['century', speeches, 3],
    ['spam', mails, 6],
  ] as const) {
    const json = { name, training_file, hyperparameters: { epochs, max_length: 64 } };
    const headers = { 'content-type': 'application/json' };
    const made = await call<Adapter>(platform, '/v1/adapters', {
      method: 'POST',
      headers,
      body: JSON.stringify(json),
    });
    for (let status: string = made.status; status !== 'ready'; ) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      status = (await call<Adapter>(platform, `/v1/adapters/${made.id}`)).status;
    }
    jobId = made.job_id!;
  }
  return { heldOut, jobId };
}

/** Goes through the places, light and dark, wide and narrow. */
async function look(platform: Platform, browser: Browser, { heldOut, jobId }: Filled): Promise<void> {
  const go = (page: Page, address: string) => page.goto(`${platform.url}/console/${address}`);
  const judge = async (page: Page, rows: RegExp) => {
    await page.getByRole('button', { name: 'Classify its rows' }).click();
    await page.getByText(rows).waitFor({ timeout: PATIENCE_MS });
  };
  const views: Record<string, (page: Page) => Promise<unknown>> = {
    data: (page) => go(page, 'data'),
    file: async (page) => {
      await go(page, `data/${heldOut}`);
      await page.getByRole('heading', { name: 'Labels' }).waitFor();
    },
    form: async (page) => {
      await go(page, 'training/new');
      await page.getByText('All settings').click();
    },
    training: async (page) => {
      await go(page, `training/${jobId}`);
      await page.getByText('(kept)').waitFor();
    },
    adapters: (page) => go(page, 'adapters'),
    adapter: async (page) => {
      await go(page, `adapters/spam@2?file=${heldOut}`);
      await judge(page, /300 of 300 rows/);
      await page
        .getByRole('heading', { name: 'On a labelled file' })
        .evaluate((element) => element.scrollIntoView());
    },
    compare: async (page) => {
      await go(page, `compare?adapters=spam@1,spam@2&file=${heldOut}`);
      await judge(page, /600 of 600 rows/);
    },
    fleet: async (page) => {
      await go(page, 'fleet');
      await page.getByRole('heading', { name: 'Nodes' }).waitFor();
    },
    playground: async (page) => {
      await go(page, 'playground?adapters=spam@1,spam@2,century@1');
      await page
        .getByLabel('Text', { exact: true })
        .fill('Dear friend, this report brings you 5,000 dollars a week from your home!');
      await page.getByRole('button', { name: 'Classify' }).click();
      await page.getByText(/ms for/).waitFor();
    },
  };
  const isWhole = process.argv[2] !== undefined;
  for (const [name, { place, colorScheme, width }] of Object.entries(
    isWhole ? everything(views) : DOCUMENTED,
  )) {
    const context = await browser.newContext({
      colorScheme,
      locale: 'en-GB',
      viewport: { width, height: 640 },
      reducedMotion: 'reduce',
    });
    await context.addInitScript({
      content: `sessionStorage.setItem('weft-key', ${JSON.stringify(platform.key)})`,
    });
    const page = await context.newPage();
    await views[place]!(page);
    await page.waitForTimeout(SETTLE_MS);
    await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: isWhole });
    await context.close();
  }
}

function everything(views: object): Record<string, Shot> {
  const shots = Object.keys(views).flatMap((place) =>
    (['light', 'dark'] as const).flatMap((colorScheme) =>
      [WIDE, NARROW].map(
        (width) => [`${place}-${colorScheme}-${width}`, { place, colorScheme, width }] as const,
      ),
    ),
  );
  return Object.fromEntries(shots);
}

const browser = await openBrowser();
if (!browser) process.exit(1);
await mkdir(FOLDER, { recursive: true });
const home = await mkdtemp(join(tmpdir(), 'weft-pictures-'));
try {
  await using platform = await startPlatform({ home, port: 0, nodeEnv: { WEFT_NODE_PORT: '0' } });
  await look(platform, browser, await fill(platform));
} finally {
  await browser.close();
  await rm(home, { recursive: true });
}
