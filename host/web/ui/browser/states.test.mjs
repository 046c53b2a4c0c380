// States in which there is nothing to see: what the page says, and what helps.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertAccessible } from './helpers.mjs';
import { eventually, Testbed } from './testbed.mjs';

test('an engine without containers, and mirroring that is switched off, say what helps', async () => {
  const bed = await Testbed.start();
  try {
    const page = await bed.open();
    await page.getByRole('heading', { name: 'There are no containers' }).waitFor();
    await assertAccessible(page, 'no-containers');
    await page.getByRole('link', { name: 'volumes' }).click();
    await page.getByRole('heading', { name: 'There are no volumes' }).waitFor();
    await assertAccessible(page, 'no-volumes');

    await bed.rdd('ctl', 'patch', 'app', 'app', '--type', 'merge', '-p', '{"spec":{"running":false}}');
    await page.getByRole('heading', { name: 'Mirroring is switched off' }).waitFor();
    await assertAccessible(page, 'switched-off');
    await page.getByRole('link', { name: 'engine' }).click();
    await page.getByText('ContainerEngineReady').waitFor();
    await assertAccessible(page, 'engine-off');
    await page.getByRole('button', { name: 'Switch mirroring on' }).click();
    await page.getByRole('heading', { name: 'Mirroring is switched off' }).waitFor({ state: 'detached' });
    await eventually('the engine is ready', async () =>
      (await page.locator('dd', { hasText: 'Connected' }).locator('.badge').allTextContents()).includes('yes'));
    await assertAccessible(page, 'engine');
    bed.engine.add('first');
    await page.getByRole('link', { name: 'containers' }).click();
    await page.getByRole('link', { name: 'first', exact: true }).waitFor();
    assert.deepEqual(page.problems, []);
  } finally {
    await bed.stop();
  }
});

test('without a backend, the lists and the logs say what to install', async () => {
  const bed = await Testbed.start({ hasPlugins: false });
  try {
    const page = await bed.open();
    await page.getByRole('heading', { name: 'The backend for this engine cannot be used' }).waitFor();
    await page.getByText('rdd plugin install').first().waitFor();
    await assertAccessible(page, 'no-backend');
    await page.evaluate(() => (location.hash = '#/logs?container=some'));
    await page.getByRole('heading', { name: 'Logs cannot be read' }).waitFor();
    await assertAccessible(page, 'no-backend-log');
  } finally {
    await bed.stop();
  }
});

test('a backend that the daemon has given up on says why, and what helps', async () => {
  const bed = await Testbed.start();
  try {
    bed.engine.add('known');
    const page = await bed.open();
    await page.getByRole('link', { name: 'known', exact: true }).waitFor();
    // The daemon gives up after ten failures, minutes apart; this is what it writes then.
    const message = 'it failed 10 times in a row (last error: it trapped: wasm `unreachable` instruction executed); restart the daemon or install another version';
    await page.route('**/apps/app', async (route) => {
      const response = await route.fetch();
      const app = await response.json();
      const ready = app.status.conditions.find(({ type }) => type === 'ContainerEngineReady');
      Object.assign(ready, { status: 'False', reason: 'BackendNotInstalled', message });
      await route.fulfill({ response, json: app });
    });
    await page.getByRole('heading', { name: 'The backend failed too often and was stopped' }).waitFor();
    await page.getByText('It failed 10 times in a row').waitFor();
    for (const command of ['rdd plugin list', 'rdd serve']) await page.locator('.notice pre', { hasText: command }).waitFor();
    // What was known stays on the screen.
    await page.getByRole('link', { name: 'known', exact: true }).waitFor();
    await assertAccessible(page, 'parked');
    await page.unroute('**/apps/app');
    await page.locator('.notice').waitFor({ state: 'detached' });
    assert.deepEqual(page.problems, []);
  } finally {
    await bed.stop();
  }
});

test('in read-only mode, there is no shell, and an action says why it failed', async () => {
  const bed = await Testbed.start({ args: ['--read-only'] });
  try {
    bed.engine.add('kept');
    const page = await bed.open();
    await page.getByRole('link', { name: 'engine' }).click();
    await page.getByRole('link', { name: 'containers' }).click();
    await page.getByRole('link', { name: 'kept', exact: true }).waitFor();
    await page.getByRole('button', { name: 'stop kept' }).click();
    await page.getByText('--read-only').first().waitFor();
    assert.equal(await page.getByRole('link', { name: 'shell kept' }).count(), 0);
    await page.getByRole('link', { name: 'engine' }).click();
    await page.getByText('rejected: the daemon runs with --read-only').waitFor();
    await page.evaluate((id) => (location.hash = `#/shell?container=${id}`), [...bed.engine.containers.keys()][0]);
    await page.locator('.problem', { hasText: 'read-only' }).waitFor();
    await assertAccessible(page, 'read-only-shell');
  } finally {
    await bed.stop();
  }
});

test('a log of a container that is gone, and a link with nonsense, are explained', async () => {
  const bed = await Testbed.start();
  try {
    bed.engine.add('here');
    const page = await bed.open();
    await page.getByRole('link', { name: 'here', exact: true }).waitFor();
    await page.evaluate(() => (location.hash = `#/logs?container=${'ab'.repeat(32)}`));
    await page.getByRole('heading', { name: 'There is no such container' }).waitFor();
    await assertAccessible(page, 'no-such-container');
    await page.evaluate(() => (location.hash = '#/logs?container=%3Cimg%20src%3Dx%3E'));
    await page.getByRole('heading', { name: 'The log cannot be read' }).waitFor();
    assert.equal(await page.locator('img').count(), 0);
    await page.evaluate(() => (location.hash = '#/nowhere?x'));
    await page.getByRole('link', { name: 'here', exact: true }).waitFor();
    assert.deepEqual(page.problems, []);
  } finally {
    await bed.stop();
  }
});

test('a thousand containers are listed, which are two pages of the API', async () => {
  const bed = await Testbed.start();
  try {
    for (let at = 0; at < 1000; at += 1) {
      bed.engine.add(`many-${at}`, { labels: { 'com.docker.compose.project': `project-${at % 40}` } });
    }
    const page = await bed.open();
    await eventually('all are listed', async () => (await page.locator('td.name').count()) === 1000);
    await page.addInitScript(recordFirstRows);
    await page.reload();
    await eventually('all are listed again', async () => (await page.locator('td.name').count()) === 1000);
    // What fits the window is drawn at once. Readers of the screen get the whole number from the start.
    const first = await page.evaluate(() => globalThis.firstRows);
    assert.ok(first.rows >= 20 && first.rows <= 100, `${first.rows} rows`);
    assert.equal(first.count, '1041');
    assert.equal(await page.locator('tr').count(), 1041);
    // In the end they get all rows, also those that nobody has scrolled to.
    const session = await page.context().newCDPSession(page);
    await eventually('all cells are accessible', async () => {
      const { nodes } = await session.send('Accessibility.getFullAXTree');
      return nodes.filter(({ role, ignored }) => !ignored && role?.value === 'cell').length === 7000;
    });
    await session.detach();
    assert.equal(page.urls.filter((url) => url.includes('continue=')).length > 0, true);
    await page.keyboard.press('/');
    await page.keyboard.type('project-7 many-7');
    await eventually('some are left', async () => {
      const names = await page.locator('td.name a').allTextContents();
      return names.length > 0 && names.every((name) => name.startsWith('many-7'));
    });
    assert.equal(await page.locator('table').getAttribute('aria-rowcount'), String(await page.locator('tr').count()));
    await page.getByLabel('Filter containers').fill('');
    await eventually('all are back', async () => (await page.locator('td.name').count()) === 1000);
    const order = await page.locator('td.name a').allTextContents();
    assert.equal(new Set(order).size, 1000);
    assert.deepEqual(page.problems, []);
  } finally {
    await bed.stop();
  }
});

/** Runs in the page: records the rows that are there when the first ones are. */
function recordFirstRows() {
  new MutationObserver(() => {
    const table = document.querySelector('table.containers');
    if (table === null || globalThis.firstRows !== undefined) return;
    globalThis.firstRows = { rows: table.querySelectorAll('td.name').length, count: table.getAttribute('aria-rowcount') };
  }).observe(document, { subtree: true, childList: true });
}
