import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser } from '../../scripts/browser.ts';
import {
  ConsoleUnderTest,
  csvOf,
  KEY,
  seriousViolations,
  type Visit,
} from '../support/console-under-test.ts';

const browser = await openBrowser();

describe.skipIf(!browser)('the console', () => {
  let console: ConsoleUnderTest;
  const visits: Visit[] = [];
  const open: ConsoleUnderTest['open'] = async (...given) => {
    const visit = await console.open(...given);
    visits.push(visit);
    return visit;
  };
  beforeAll(async () => {
    console = await ConsoleUnderTest.start(browser!);
  });
  afterEach(async () => {
    const ended = visits.splice(0);
    await Promise.all(ended.map((visit) => visit[Symbol.asyncDispose]()));
    expect(ended.flatMap(({ faults }) => faults)).toEqual([]);
  });
  afterAll(async () => {
    await console?.[Symbol.asyncDispose]();
    await browser?.close();
  });

  it('asks for the key once, says that a wrong one is wrong, and keeps it for the tab alone', async () => {
    const { page } = await open('/', { key: null, mayFail: [/401/] });
    expect(new URL(page.url()).pathname).toBe('/console/');
    await page.getByLabel('Key').fill('no such key');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('does not know this key').waitFor();
    await page.getByLabel('Key').fill(KEY);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('There are no adapters yet.').waitFor();
    await page.reload();
    await page.getByText('There are no adapters yet.').waitFor();
    const stored = await page.evaluate('JSON.stringify([{ ...localStorage }, document.cookie])');
    expect(stored).not.toContain(KEY);
    await page.getByRole('button', { name: 'Forget key' }).click();
    await page.getByLabel('Key').waitFor();
  });

  it('says of every place what would be there while there is nothing', async () => {
    const { page } = await open('/console/training', { mayFail: [/404/] });
    await page.getByText('Nothing has been trained yet.').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    await page.getByRole('link', { name: 'Train an adapter' }).click();
    await page.getByText('There is no file to train on yet.').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    await page.getByRole('link', { name: 'Upload one' }).click();
    await page.getByText('There are no files yet.').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    await page.goto(`${console.platform.url}/console/adapters/nothing`);
    await page.getByText('There is no adapter nothing.').waitFor();
    await page.goto(`${console.platform.url}/console/nothing`);
    await page.getByText('This address leads nowhere.').waitFor();
  });

  it('trains from a form of three fields, follows it live, and shows what came of it after a reload', async () => {
    const { page } = await open('/console/data', { mayFail: [/422/, /409/] });
    const choose = page.getByLabel('Choose a file');
    await choose.setInputFiles(fileOf('mails.csv', `${csvOf(120)}\nno label here,\n`));
    await page.getByRole('cell', { name: '122', exact: true }).waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    await choose.setInputFiles(fileOf('mails.csv', csvOf(120)));
    await page.getByRole('heading', { name: 'mails.csv' }).waitFor();
    expect(await page.getByLabel('Rows of each label').textContent()).toMatch(/ham60 \(50 %\)/);
    expect(await seriousViolations(page)).toEqual([]);
    await page.getByRole('link', { name: 'Train on it' }).click();
    await page.getByLabel('Name', { exact: true }).fill('spam');
    await page.getByText('All settings').click();
    await page.getByLabel('epochs').fill('4');
    await page.getByLabel('max length').fill('16');
    expect(await seriousViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.getByText('succeeded').waitFor();
    await page.getByText('(kept)').waitFor();
    const shown = () => eventsOf(page);
    const jobId = new URL(page.url()).pathname.split('/').at(-1);
    const { body } = await console.call(`/v1/fine_tuning/jobs/${jobId}/events?limit=100`);
    const ids = body.data.map(({ id }: { id: string }) => id);
    expect(await shown()).toEqual(ids);
    await page.reload();
    await page.getByText('(kept)').waitFor();
    expect(await shown()).toEqual(ids);
    expect(await seriousViolations(page)).toEqual([]);
    await page.getByRole('link', { name: 'Open spam@1' }).click();
    await page.getByRole('heading', { name: 'spam@1' }).waitFor();
    await judgeOnFile(page);
    await page.getByLabel('New alias for spam@1').fill('prod');
    await page.keyboard.press('Enter');
    await page.getByText('spam@prod', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'History' }).click();
    await page.getByText('nothing to spam@1').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    await page.getByRole('link', { name: 'Try it' }).click();
    await page.getByLabel('Text', { exact: true }).fill('spam number 7');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('heading', { name: /^spam@1: (sp|h)am$/ }).waitFor();
    await page.getByText(/ms for 1 answers/).waitFor();
    await page.getByRole('button', { name: 'Keep as example' }).click();
    await page.getByText('Kept examples (1)').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    await page.goto(`${console.platform.url}/console/adapters/spam@1`);
    await page.getByRole('button', { name: 'Delete' }).first().click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByText('alias').first().waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Keep' }).click();
    await page.getByRole('listitem').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('spam@prod', { exact: true }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Delete' }).first().click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('There are no adapters yet.').waitFor();
  });

  it('scrolls through 100,000 rows, of which it holds those in sight alone, and saves corrected labels as a new file', async () => {
    const id = await console.upload('many.csv', csvOf(100_000));
    const { page } = await open(`/console/data/${id}`);
    const table = page.getByRole('region', { name: 'Rows of the file' });
    await page.getByRole('heading', { name: '100,000 of 100,000 rows' }).waitFor();
    expect(await table.getByRole('row').count()).toBeLessThan(60);
    await table.focus();
    await page.keyboard.press('End');
    await table.getByText('ham number 99999').waitFor();
    expect(await table.getByRole('row').count()).toBeLessThan(60);
    await page.getByLabel('Holding the text').fill('number 99998');
    await page.getByRole('heading', { name: '1 of 100,000 rows' }).waitFor();
    await page.getByLabel('Label of row 99999').fill('offer');
    await page.keyboard.press('Tab');
    await page.getByText('1 label changed').waitFor();
    await page.getByRole('button', { name: 'Save as a new file' }).click();
    await page.getByRole('heading', { name: 'many-relabelled.jsonl' }).waitFor();
    const saved = await console.call(new URL(page.url()).pathname.replace('/console/data/', '/v1/files/'));
    expect(saved.body.labels).toEqual({ spam: 49_999, ham: 50_000, offer: 1 });
  });

  it('shows what is hostile in names, labels and texts as the text that it is', async () => {
    const evil = '<img src=x onerror=alert(1)><script>alert(2)</script>';
    const labels = [evil, 'javascript:alert(3)', '</script>{{7*7}}'];
    const id = await console.upload(`${evil.replaceAll('/', '')}.csv`, csvOf(90, labels));
    const job = await console.train('hostile', id);
    const { page } = await open(`/console/data/${id}`, { mayFail: [/404/, /TrustedHTML/] });
    await page.getByLabel('Rows of each label').getByText(evil).waitFor();
    const table = page.getByRole('region', { name: 'Rows of the file' });
    await table.getByText(`${evil} number 0`, { exact: true }).waitFor();
    await page.goto(`${console.platform.url}/console/training/${job.id}`);
    await page.getByText('(kept)').waitFor();
    await page.goto(`${console.platform.url}/console/adapters/hostile?file=${id}`);
    await page.getByRole('button', { name: 'Classify its rows' }).click();
    await page.getByText('90 of 90 rows classified').waitFor();
    await page.goto(`${console.platform.url}/console/playground?adapters=hostile@1`);
    await page.getByLabel('Text', { exact: true }).fill(evil);
    await page.getByRole('button', { name: 'Classify' }).click();
    await page
      .getByLabel('Scores of hostile@1')
      .getByRole('rowheader', { name: evil, exact: true })
      .waitFor();
    await page.getByRole('button', { name: 'Keep as example' }).click();
    await page.goto(`${console.platform.url}/console/data/${encodeURIComponent(evil)}`);
    await page.getByRole('alert').waitFor();
    expect(await page.locator('img[src="x"], script:not([src^="/console/"])').count()).toBe(0);
    // Were it markup, the policy would still not let it run.
    const inserted = page.evaluate(
      `document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1)>')`,
    );
    await expect(inserted).rejects.toThrow('TrustedHTML');
  });

  it('shows every place in the dark and on a narrow phone, readable and without a scroll to the side', async () => {
    const id = await console.upload('small.csv', csvOf(60));
    const job = await console.train('small', id);
    const places = [
      'data',
      `data/${id}`,
      'training',
      'training/new',
      `training/${job.id}`,
      'adapters',
      'adapters/small',
      'compare?adapters=small@1,small@1',
      'playground?adapters=small',
      'fleet',
    ];
    const { page } = await open('/console/', { colorScheme: 'dark', viewport: { width: 360, height: 700 } });
    for (const place of places) {
      await page.goto(`${console.platform.url}/console/${place}`);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.getByText('Loading…').first().waitFor({ state: 'detached' });
      expect(await seriousViolations(page), place).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth'), place).toBeLessThanOrEqual(360);
    }
  });

  it('shows an operator the nodes, and a tenant where its own adapters lie', async () => {
    const { page } = await open('/console/fleet');
    await page.getByRole('heading', { name: 'Nodes' }).waitFor();
    await page.getByRole('cell', { name: /tiny-bert/ }).waitFor();
    await page
      .getByRole('button', { name: /Measure how fast/ })
      .first()
      .click();
    await page
      .getByRole('cell', { name: /\d+\.\d ms/ })
      .first()
      .waitFor();
    const { body } = await console.post('/v1/keys', { name: 'plain' });
    const { page: tenants } = await open('/console/fleet', { key: body.key });
    await tenants.getByText('Where your adapters lie').waitFor();
    expect(await tenants.getByRole('heading', { name: 'Nodes' }).count()).toBe(0);
  });

  it('goes on where the event stream broke off: no event is lost, and none comes twice', async () => {
    const job = await console.train('broken', await console.upload('broken.csv', csvOf(60)));
    const { body } = await console.call(`/v1/fine_tuning/jobs/${job.id}/events?limit=100&order=asc`);
    const ids: string[] = body.data.map(({ id }: { id: string }) => id);
    const { page } = await open('/console/adapters', { mayFail: [/ERR_CONNECTION_RESET/] });
    const cursors: (string | undefined)[] = [];
    await page.route('**/events', async (route) => {
      const cursor = route.request().headers()['last-event-id'];
      cursors.push(cursor);
      if (cursors.length === 2) return route.abort('connectionreset');
      if (cursors.length > 3) return route.continue();
      // Two more events whole, and the next one cut in its middle.
      const whole = await (await route.fetch()).text();
      const ends = [...whole.matchAll(/\n\n/g)].map(({ index }) => index + 2);
      const cut = whole.slice(0, ends[1]! + 20);
      return route.fulfill({ contentType: 'text/event-stream', body: cut });
    });
    await page.evaluate(
      `history.pushState(null, '', '/console/training/${job.id}'); dispatchEvent(new PopStateEvent('popstate'))`,
    );
    await page.getByText('(kept)').waitFor();
    await page.locator(`[data-event="${ids.at(-1)}"]`).waitFor();
    expect((await eventsOf(page)).reverse()).toEqual(ids);
    expect(cursors.slice(0, 4)).toEqual([undefined, ids[1], ids[1], ids[3]]);
  });
});

/** Has the adapter of a page classify the file that it was trained on, and corrects a label into a new file. */
async function judgeOnFile(page: Page): Promise<void> {
  await page.getByLabel('Labelled file', { exact: true }).selectOption({ label: 'mails.csv' });
  await page.getByText('It was trained on this file').waitFor();
  await page.getByRole('button', { name: 'Classify its rows' }).click();
  await page.getByText('120 of 120 rows classified').waitFor();
  await page.getByRole('button', { name: /spam taken for spam; show the texts/ }).click();
  await page.getByText('spam taken for spam (60)').waitFor();
  await page.getByLabel('Withhold answers below').focus();
  await page.keyboard.press('End');
  await page.getByText('Withhold answers below 1.00').waitFor();
  expect(await seriousViolations(page)).toEqual([]);
}

function fileOf(name: string, contents: string) {
  return { name, mimeType: 'text/csv', buffer: Buffer.from(contents) };
}

/** The ids of the events that are shown, from the top. */
function eventsOf(page: Page): Promise<(string | null)[]> {
  return page.locator('[data-event]').evaluateAll((all) => all.map((one) => one.getAttribute('data-event')));
}
