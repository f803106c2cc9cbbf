import { existsSync } from 'node:fs';
import chromium from '@sparticuz/chromium';
import { type Browser, chromium as driver } from 'playwright-core';

const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Where Debian's package puts it. */
const SYSTEM = '/usr/bin/chromium';

/**
 * Chromium: the one that comes with npm, or the system's where that one does not run here. Undefined where neither starts, which is then said
 * on standard error.
 */
export async function openBrowser(): Promise<Browser | undefined> {
  const reasons: string[] = [];
  for (const find of [() => chromium.executablePath(), async () => SYSTEM]) {
    try {
      const executablePath = await find();
      if (!existsSync(executablePath)) throw new Error(`there is no ${executablePath}`);
      return await driver.launch({ executablePath, args: ARGS });
    } catch (error) {
      reasons.push((error as Error).message.split('\n')[0]!);
    }
  }
  console.error(`No Chromium starts here, so the console is not looked at: ${reasons.join('; ')}`);
  return undefined;
}
