// person.mjs VISITS.json - a person with a browser: Chromium without a screen,
// by playwright-core.  Each visit opens a URL, logs in as `user`, consents or
// (decline) cancels, and ends on a page that is not the provider's.
//
// Visit: url, user, decline, shots ({width, height, dark, path} each).
// Prints a line of JSON for each: what the last page says, and what is wrong
// with how it looks.
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [visits] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')));
const MAX_PAGES = 12;
const TIMEOUT = 15000;
const LOCAL = ['localhost', '127.0.0.1'];

const isProvider = (page, url) => new URL(page.url()).host === new URL(url).host;

// The provider's pages want fonts from elsewhere.
async function stayHere(route) {
  await (LOCAL.includes(new URL(route.request().url()).hostname)
    ? route.continue() : route.abort());
}

async function answer(page, visit) {
  const prompt = await page.locator('input[name=prompt]').getAttribute('value');
  if (prompt === 'login') {
    await page.locator('input[name=login]').fill(visit.user);
    await page.locator('input[name=password]').fill('any');
  } else if (visit.decline) {
    await page.getByText('[ Cancel ]').click();
    return;
  }
  await page.locator('button[type=submit]').click();
}

async function shoot(page, shot) {
  await page.setViewportSize({ width: shot.width, height: shot.height });
  await page.emulateMedia({ colorScheme: shot.dark ? 'dark' : 'light' });
  await page.screenshot({ path: shot.path });
  return page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
}

async function make(browser, visit) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(TIMEOUT);
  await context.route('**/*', stayHere);
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => complaints.push(message.text()));
  const first = await page.goto(visit.url);
  const provider = first.url();
  for (let i = 0; i < MAX_PAGES && isProvider(page, provider); i += 1) {
    complaints.length = 0;
    await answer(page, visit);
    await page.waitForLoadState();
  }
  const scrolls = [];
  for (const shot of visit.shots) scrolls.push(await shoot(page, shot));
  const styled = await page.evaluate(
    () => getComputedStyle(document.querySelector('main')).borderTopStyle === 'solid');
  const text = await page.locator('body').innerText();
  const title = await page.title();
  await context.close();
  return { title, text, styled, scrolls, complaints };
}

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-background-networking',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'],
});
try {
  for (const visit of visits) console.log(JSON.stringify(await make(browser, visit)));
} finally {
  await browser.close();
}
