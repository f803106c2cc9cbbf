import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { type Platform, startPlatform } from '../../scripts/platform.ts';
import { TINY_BERT } from './tiny-bert.ts';

export const KEY = 'key-of-the-console';
const NODE_ENV = { WEFT_BASE_MODEL: TINY_BERT, WEFT_THREADS: '2', WEFT_NODE_PORT: '0' };
/** For anything to appear, a training of seconds on a busy machine included. */
const PATIENCE_MS = 20_000;
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** A platform on the tiny base model, and pages of its console that may do nothing wrong. */
export class ConsoleUnderTest implements AsyncDisposable {
  readonly platform: Platform;
  readonly #browser: Browser;
  readonly #home: string;
  #documented: RegExp[] = [];

  private constructor(browser: Browser, platform: Platform, home: string) {
    this.#browser = browser;
    this.platform = platform;
    this.#home = home;
  }

  static async start(browser: Browser): Promise<ConsoleUnderTest> {
    const home = await mkdtemp(join(tmpdir(), 'weft console-'));
    const platform = await startPlatform({ home, port: 0, key: KEY, nodeEnv: NODE_ENV, log: () => {} });
    const self = new ConsoleUnderTest(browser, platform, home);
    const { body } = await self.call('/openapi.json');
    self.#documented = Object.keys(body.paths).map(
      (path) => new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/{.+?}/g, '[^/]+')}$`),
    );
    return self;
  }

  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what tests assert
  async call(path: string, init: RequestInit = {}, key = KEY): Promise<{ status: number; body: any }> {
    const headers = { authorization: `Bearer ${key}`, ...init.headers };
    const response = await fetch(this.platform.url + path, { ...init, headers });
    return { status: response.status, body: await response.json() };
  }

  post(path: string, json: unknown) {
    const headers = { 'content-type': 'application/json' };
    return this.call(path, { method: 'POST', headers, body: JSON.stringify(json) });
  }

  async upload(name: string, contents: string): Promise<string> {
    const form = new FormData();
    form.set('purpose', 'fine-tune');
    form.set('file', new Blob([contents]), name);
    const { status, body } = await this.call('/v1/files', { method: 'POST', body: form });
    if (status !== 201) throw new Error(`${name}: ${JSON.stringify(body)}`);
    return body.id;
  }

  /** Trains an adapter on a file, and gives its job once it has ended. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  async train(name: string, training_file: string, hyperparameters: object = QUICK): Promise<any> {
    const { body } = await this.post('/v1/adapters', { name, training_file, hyperparameters });
    for (;;) {
      const { body: job } = await this.call(`/v1/fine_tuning/jobs/${body.job_id}`);
      if (!['queued', 'running'].includes(job.status)) return job;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /**
   * A page in a browser context of its own. It may ask this edge alone, by paths that the API documents, and log no error but those that
   * `mayFail` names.
   */
  async open(address: string, { key = KEY, mayFail = [], ...options }: PageOptions = {}): Promise<Visit> {
    const context = await this.#browser.newContext({ locale: 'en-GB', reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    if (key !== null) {
      // A tab begins with an empty page, which has no storage.
      const content = `if (location.protocol === 'http:') sessionStorage.setItem('weft-key', ${JSON.stringify(key)})`;
      await context.addInitScript({ content });
    }
    const faults: string[] = [];
    context.on('page', (page) => this.#watch(page, faults, mayFail));
    const page = await context.newPage();
    await page.goto(this.platform.url + address);
    return { page, faults, [Symbol.asyncDispose]: () => context.close() };
  }

  #watch(page: Page, faults: string[], mayFail: readonly RegExp[]): void {
    page.on('pageerror', (error) => faults.push(`threw ${error.message}`));
    page.on('dialog', (dialog) => faults.push(`opened a dialog: ${dialog.message()}`));
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return;
      const text = `${message.text()} ${message.location().url}`;
      if (!mayFail.some((known) => known.test(text))) faults.push(`logged ${text}`);
    });
    page.on('request', (request) => {
      const { origin, pathname, search } = new URL(request.url());
      if (origin !== this.platform.url) faults.push(`asked ${request.url()}`);
      if (`${pathname}${search}`.includes(KEY)) faults.push('put the key into an address');
      const isPage = pathname === '/' || pathname.startsWith('/console');
      if (!isPage && pathname !== '/openapi.json' && !this.#documented.some((path) => path.test(pathname))) {
        faults.push(`asked ${pathname}, which the API does not document`);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.platform.stop();
    await rm(this.#home, { recursive: true });
  }
}

interface PageOptions extends BrowserContextOptions {
  /** The key that the tab has already; null for none. */
  key?: string | null;
  /** Messages of the browser's console that belong to the test. */
  mayFail?: readonly RegExp[];
}

export interface Visit extends AsyncDisposable {
  page: Page;
  /** What the page did that it may not. */
  faults: string[];
}

/** A training of a second. */
export const QUICK = { epochs: 3, batch_size: 16, learning_rate: 1e-2, max_length: 16 };

/** Rows of texts that even the tiny model can tell apart, as CSV. */
export function csvOf(rows: number, labels: readonly string[] = ['spam', 'ham']): string {
  const lines = Array.from({ length: rows }, (_, i) => {
    const label = labels[i % labels.length]!;
    return `${quoted(`${label} number ${i}`)},${quoted(label)}`;
  });
  return ['text,label', ...lines].join('\n');
}

function quoted(cell: string): string {
  return `"${cell.replaceAll('"', '""')}"`;
}

/** What axe finds serious or critical on a page, and where. */
export async function seriousViolations(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(AXE, 'utf8'));
  return page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: axe puts itself there
    const { violations } = await (globalThis as any).axe.run();
    return violations
      .filter(({ impact }: { impact: string }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }: { id: string; nodes: { target: string[]; failureSummary: string }[] }) =>
        nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')}: ${failureSummary}`),
      );
  });
}
