// The page in a browser, with a real daemon and an engine without processes.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, rows, rowsAndRemarks, shot, violations } from './helpers.mjs';
import { eventually, Testbed } from './testbed.mjs';

let bed;
let web;
let db;

before(async () => {
  bed = await Testbed.start();
  const shop = { 'com.docker.compose.project': 'shop' };
  web = bed.engine.add('shop-web-1', { labels: { ...shop, 'com.docker.compose.service': 'web' }, ports: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }] } });
  db = bed.engine.add('shop-db-1', { labels: { ...shop, 'com.docker.compose.service': 'db' } });
  bed.engine.add('alone');
});
after(() => bed.stop());

test('a link signs in once, and the code and the token are in no URL and no log', async () => {
  const link = await bed.rdd('dashboard', '--print');
  assert.match(link, /^http:\/\/127\.0\.0\.1:\d+\/#code=[\w-]{22}$/);
  const page = await bed.open(link);
  await page.getByRole('link', { name: 'shop-web-1', exact: true }).waitFor();
  assert.ok(!page.url().includes('code='), page.url());
  const token = await page.evaluate(() => sessionStorage.getItem('rdd-session'));
  const code = link.split('=')[1];
  // What reaches a server has no fragment.
  for (const url of page.urls) assert.ok(!url.split('#')[0].includes(token) && !url.split('#')[0].includes(code));
  assert.ok(!bed.daemonLog().includes(token) && !bed.daemonLog().includes(code));
  assert.equal(await page.evaluate(() => document.cookie), '');
  await page.reload();
  await page.getByRole('link', { name: 'shop-web-1', exact: true }).waitFor();

  const other = await bed.open(link);
  await other.getByText('The link was used before').waitFor();
  await assertAccessible(other, 'signed-out');
  assert.deepEqual(page.problems, []);
  await page.context().close();
  await other.context().close();
});

test('containers are grouped, filtered, and follow the engine', async () => {
  const page = await bed.open();
  await eventually('all groups are there', async () =>
    (await page.locator('.group th').allTextContents()).join() === 'shopLogs,No project');
  assert.equal(await page.getByRole('link', { name: '8080→80' }).getAttribute('href'), 'http://localhost:8080/');
  await assertAccessible(page, 'containers');
  await page.getByRole('link', { name: 'shell alone' }).waitFor();
  for (const width of [710, 900, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    const beyond = await page.locator('.containers a, .containers button').evaluateAll((nodes) =>
      nodes.filter((node) => node.getBoundingClientRect().right > document.documentElement.clientWidth).map((node) => node.textContent));
    assert.deepEqual(beyond, [], `all actions are on a screen of ${width} pixels`);
  }
  await shot(page, 'containers-wide');
  await page.keyboard.press('/');
  await page.keyboard.type('DB');
  await eventually('one is left', async () => (await page.locator('.name a').allTextContents()).join() === 'shop-db-1');
  await page.getByLabel('Filter containers').fill('');

  const late = bed.engine.add('late');
  await page.getByRole('link', { name: 'late', exact: true }).waitFor();
  const button = (action) => page.getByRole('button', { name: `${action} late`, exact: true });
  await button('pause').click();
  await button('unpause').waitFor();
  assert.equal(late.state, 'paused');
  await button('unpause').click();
  await button('pause').waitFor();
  await button('stop').click();
  await button('start').waitFor();
  await page.getByRole('button', { name: 'delete late' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'delete late' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('link', { name: 'late', exact: true }).waitFor({ state: 'detached' });
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a log shows colors and streams, and markup is text', async () => {
  bed.engine.write(web, [
    'plain <img src=x onerror="document.title=1">',
    '\u001b[31mred\u001b[0m and \u001b[38;2;1;2;3mtrue\u001b[0m',
    { text: 'to stderr', stderr: true },
    '\u001b]0;title\u0007\u001b[2Jquiet',
  ]);
  const page = await bed.open();
  await page.getByRole('link', { name: 'shop-web-1', exact: true }).click();
  await page.getByText('quiet').waitFor();
  const lines = await rows(page);
  assert.deepEqual(lines.slice(-4), [
    'plain <img src=x onerror="document.title=1">', 'red and true', 'to stderr', 'quiet',
  ]);
  assert.equal(await page.locator('.log img').count(), 0);
  assert.equal(await page.locator('.line.stderr').count(), 1);
  assert.equal(await page.locator('.fg-1').textContent(), 'red');
  const color = (text) => page.locator('.text span', { hasText: text }).last().evaluate((node) => getComputedStyle(node).color);
  assert.notEqual(await color('true'), await color('and'));
  bed.engine.write(web, ['a new line']);
  await page.getByText('a new line').waitFor();
  await shot(page, 'log');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('logs of a project are merged by time', async () => {
  const page = await bed.open();
  await page.getByRole('row', { name: 'shop' }).getByRole('link', { name: 'Logs' }).first().click();
  const now = BigInt(Date.now()) * 1_000_000n;
  const lines = Array.from({ length: 10 }, (_, at) => ({ text: `merged ${at}`, time: now + BigInt(at) * 1000n }));
  // Each log has every second line, one microsecond apart, and one log arrives after the other.
  bed.engine.write(web, lines.filter((_, at) => at % 2 === 1));
  await page.getByText('merged 9').waitFor();
  bed.engine.write(db, lines.filter((_, at) => at % 2 === 0));
  const merged = async () => (await rows(page)).filter((line) => line.startsWith('merged'));
  await eventually('both logs are there', async () => (await merged()).length === lines.length);
  assert.deepEqual(await merged(), lines.map(({ text }) => text));
  // Fewer lines than fit are all there, from the top on.
  assert.ok((await rows(page)).includes('a new line'));
  assert.deepEqual([...new Set(await page.locator('.source').allTextContents())].sort(), ['shop-db-1', 'shop-web-1']);
  await assertAccessible(page, 'merged');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a pause keeps what is shown, counts what is new, and loses nothing', async () => {
  const container = bed.engine.add('counter');
  bed.engine.write(container, Array.from({ length: 500 }, (_, at) => `line ${at}`));
  const page = await bed.open();
  await page.getByRole('link', { name: 'counter', exact: true }).click();
  await page.getByText('line 499').waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  const before = await rows(page);
  bed.engine.write(container, Array.from({ length: 5000 }, (_, at) => `line ${500 + at}`));
  await page.getByRole('button', { name: '5,000 new lines' }).waitFor();
  assert.deepEqual(await rows(page), before);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('line 5499').waitFor();
  await page.keyboard.press('g');
  await page.getByText('line 0', { exact: true }).waitFor();
  await page.keyboard.press('G');
  await page.getByText('line 5499').waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a search counts, marks, and goes from match to match', async () => {
  const container = bed.engine.add('search');
  bed.engine.write(container, Array.from({ length: 5000 }, (_, at) => (at % 1000 === 7 ? `needle ${at}` : `hay ${at}`)));
  const page = await bed.open();
  await page.getByRole('link', { name: 'search', exact: true }).click();
  await page.getByText('hay 4999').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('NEEDLE');
  await page.getByText('5 lines', { exact: true }).waitFor();
  await page.keyboard.press('Shift+Enter');
  await page.locator('.line.current', { hasText: 'needle 4007' }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('N');
  await page.locator('.line.current', { hasText: 'needle 3007' }).waitFor();
  assert.equal(await page.locator('.line.current mark').textContent(), 'needle');
  await page.keyboard.press('n');
  await page.locator('.line.current', { hasText: 'needle 4007' }).waitFor();
  await shot(page, 'search');
  await page.getByTitle('Regular expression').click();
  await page.getByLabel('Search the log').fill('(');
  await page.getByText('has no ")"').waitFor();
  await page.getByLabel('Search the log').fill('^needle [13]007$');
  await page.getByText('2 lines', { exact: true }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('after a cut, the log goes on without a lost or a doubled line', async () => {
  const container = bed.engine.add('cut');
  const page = await bed.open();
  await page.getByRole('link', { name: 'cut', exact: true }).click();
  let written = 0;
  const write = (count) => {
    bed.engine.write(container, Array.from({ length: count }, () => `cut ${written++}`));
  };
  write(20);
  await page.getByText('cut 19', { exact: true }).waitFor();
  for (let round = 0; round < 3; round += 1) {
    await eventually('a watch and a log are open', () => bed.sockets.size >= 2);
    bed.cut();
    write(3);
    await page.getByText(`cut ${written - 1}`, { exact: true }).waitFor();
    write(2);
    await page.getByText(`cut ${written - 1}`, { exact: true }).waitFor();
  }
  const lines = (from, to) => Array.from({ length: to - from }, (_, at) => `cut ${from + at}`);
  assert.deepEqual(
    (await rowsAndRemarks(page)).map((row) => row.replace(/after \d+s$/, 'after a while')),
    [lines(0, 20), lines(20, 25), lines(25, 30), lines(30, 35)].flatMap((part, at) => (at === 0 ? part : ['— reconnected after a while', ...part])),
  );
  // The list goes on as well.
  await page.goBack();
  bed.engine.add('after-cut');
  await page.getByRole('link', { name: 'after-cut', exact: true }).waitFor();
  await page.context().close();
});

test('a narrow screen and both color schemes are usable', async () => {
  bed.engine.write(web, ['on a narrow screen']);
  for (const colorScheme of ['light', 'dark']) {
    const page = await bed.open(undefined, { viewport: { width: 360, height: 700 }, colorScheme });
    await page.getByRole('link', { name: 'shop-web-1', exact: true }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    await shot(page, `narrow-${colorScheme}`);
    assert.deepEqual(await violations(page), []);
    await page.getByRole('link', { name: 'shop-web-1', exact: true }).click();
    await page.getByText('on a narrow screen').waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    assert.deepEqual(await violations(page), []);
    await shot(page, `narrow-log-${colorScheme}`);
    await page.context().close();
  }
});

test('a revoked session, an engine and a daemon that are gone are explained', async () => {
  const page = await bed.open();
  await page.getByRole('link', { name: 'shop-web-1', exact: true }).waitFor();
  await bed.engine.stop();
  await page.getByRole('heading', { name: 'The engine cannot be reached' }).waitFor();
  await assertAccessible(page, 'engine-gone');
  await bed.rdd('dashboard', '--revoke');
  await page.getByText('The session has ended').waitFor();
  const again = await bed.open();
  await again.getByRole('link', { name: 'rdd', exact: true }).waitFor();
  const names = again.locator('.name a');
  await eventually('all containers are listed', async () => (await names.count()) >= 3);
  const known = await names.allTextContents();
  await bed.stopDaemon();
  await again.getByRole('heading', { name: 'The daemon cannot be reached' }).waitFor();
  // What was known stays on the screen.
  assert.deepEqual(await names.allTextContents(), known);
  await assertAccessible(again, 'daemon-gone');
  await bed.startDaemon();
  await again.getByText('The session has ended').waitFor();
});
