// The page with a real engine: images, volumes, a shell, and logs that cannot be read.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { after, before, test } from 'node:test';
import { docker, dockerHost, hasDocker, remove, run } from './docker.mjs';
import { assertAccessible, fits, rows, rowsAndRemarks, shot, violations } from './helpers.mjs';
import { eventually, Testbed } from './testbed.mjs';

const options = { skip: hasDocker ? false : 'RDD_TEST_DOCKER_HOST is not set' };
const NAMES = ['page-shell', 'page-silent', 'page-restart', 'page-volume', 'page-rotated', 'page-engine', 'page-engine-2'];
const ENGINE = join(import.meta.dirname, '../../../../scripts/engine');
let bed;

before(async () => {
  if (!hasDocker) return;
  await remove(...NAMES);
  await docker('DELETE', '/volumes/page-data?force=true').catch(() => undefined);
  bed = await Testbed.start({ endpoint: dockerHost });
});
after(async () => {
  await bed?.stop();
  if (hasDocker) await remove(...NAMES);
});

test('images and volumes are listed, and deleted after a confirmation', options, async () => {
  await docker('POST', '/volumes/create', { Name: 'page-data', Labels: {} });
  await docker('POST', '/images/rdd-test/tag?repo=page-image&tag=one');
  const page = await bed.open();
  await page.getByRole('link', { name: 'images' }).click();
  const row = page.getByRole('row', { name: /page-image:one/ });
  await row.waitFor();
  assert.match(await row.textContent(), /linux\/\w+.*[kM]B/);
  await assertAccessible(page, 'images');
  await page.getByRole('button', { name: 'delete page-image:one' }).click();
  await page.getByRole('dialog').waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal(await row.count(), 1);
  await page.getByRole('button', { name: 'delete page-image:one' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await row.waitFor({ state: 'detached' });

  await page.getByRole('link', { name: 'volumes' }).click();
  await page.getByRole('row', { name: /page-data local/ }).waitFor();
  await assertAccessible(page, 'volumes');
  await page.setViewportSize({ width: 360, height: 700 });
  assert.ok(await fits(page));
  await page.getByRole('button', { name: 'delete page-data' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('row', { name: /page-data/ }).waitFor({ state: 'detached' });
  await assert.rejects(docker('GET', '/volumes/page-data'), /404/);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a shell runs in a terminal under the strict policy, and tells how it ended', options, async () => {
  await run('page-shell', 'while :; do sleep 1; done');
  const page = await bed.open();
  await page.getByRole('link', { name: 'shell page-shell' }).click();
  await page.locator('.xterm-rows').waitFor();
  const screen = () => page.locator('.xterm-rows').textContent();
  await eventually('there is a prompt', async () => /[#$]/.test(await screen()));
  await page.keyboard.type('echo $((6*7))x; stty size; printf "\\033[38;2;200;30;30mred\\033[0m\\n"\n');
  await eventually('the command ran', async () => (await screen()).includes('42x'));
  const height = await page.locator('.xterm-rows > div').count();
  await eventually('the size is that of the terminal', async () => new RegExp(`42x${height} \\d+`).test(await screen()));
  // Colors and the theme are applied, although inline styles are forbidden.
  const color = (locator) => locator.evaluate((node) => getComputedStyle(node).color);
  assert.equal(await color(page.locator('.xterm-rows span', { hasText: /^red$/ })), 'rgb(200, 30, 30)');
  assert.match(await page.locator('.xterm-rows').evaluate((node) => getComputedStyle(node).whiteSpace), /pre/);
  await assertAccessible(page, 'shell');
  await page.setViewportSize({ width: 360, height: 600 });
  assert.ok(await fits(page));
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.type('exit 3\n');
  await page.getByRole('status').filter({ hasText: 'the shell has ended with exit code 3' }).waitFor();
  await page.getByRole('button', { name: 'New shell' }).click();
  await eventually('there is a new prompt', async () => /[#$] *$/.test((await screen()).trim()));
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a log that the engine cannot read says what helps', options, async () => {
  await run('page-silent', 'while :; do sleep 1; done', { log: 'none' });
  const page = await bed.open();
  await page.getByRole('link', { name: 'page-silent', exact: true }).click();
  await page.getByRole('heading', { name: 'The log of this container cannot be read' }).waitFor();
  await page.getByText('--log-driver json-file').waitFor();
  await assertAccessible(page, 'unreadable');
  await page.context().close();
});

test('a restart leaves a marker, and no line is lost or doubled', options, async () => {
  const id = await run('page-restart', 'i=0; while [ $i -lt 5 ]; do echo line $i; echo oops $i >&2; i=$((i+1)); done; sleep 1000');
  const page = await bed.open();
  await page.getByRole('link', { name: 'page-restart', exact: true }).click();
  await page.getByText('oops 4').waitFor();
  await docker('POST', `/containers/${id}/restart?t=0`);
  await page.locator('.marker', { hasText: 'page-restart started' }).waitFor();
  await eventually('both runs are there', async () => (await rows(page)).length === 20);
  const all = await rowsAndRemarks(page);
  // The engine may have started it again before anybody could ask for the exit code.
  assert.match(all[10], /^— page-restart stopped( with exit code \d+)?$/);
  assert.equal(all[11], '— page-restart started');
  assert.equal(all.filter((row) => row.startsWith('— ')).length, 2, all.join('\n'));
  assert.equal(await page.locator('.line.stderr').count(), 10);
  await shot(page, 'restart');
  await page.context().close();
});

/** Returns the lines around the only remark with a text. Other remarks may be next to it. */
async function linesAround(page, text) {
  const level = page.getByLabel('Level', { exact: true });
  await level.selectOption('Errors');
  const marker = page.locator('.line.marker', { hasText: text });
  await marker.first().waitFor();
  assert.equal(await marker.count(), 1);
  await marker.locator('.time').click();
  await page.locator('.line.marker.current').waitFor();
  await level.selectOption('All levels');
  const around = () =>
    page.locator('.line.marker.current').evaluateAll(([marked]) =>
      ['previousElementSibling', 'nextElementSibling'].map((next) => {
        let line = marked?.[next];
        while (line?.classList.contains('marker')) line = line[next];
        return line?.querySelector('.text').textContent;
      }));
  return eventually('the lines around it are there', async () => {
    const found = await around();
    return found.every((line) => line !== undefined) ? found : undefined;
  });
}

/** Returns the lines that the page has of a log, as it saves them, without their times. */
async function savedLines(page) {
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save shown' }).click()]);
  return readFileSync(await file.path(), 'utf8').trimEnd().split('\n').map((line) => line.replace(/^\S+ /, ''));
}

/** Returns the remarks of a log: a filter by level leaves them. */
async function remarks(page) {
  const level = page.getByLabel('Level', { exact: true });
  await level.selectOption('Errors');
  await eventually('the lines are hidden', async () => (await rows(page)).length === 0);
  const markers = await page.locator('.marker .text').allTextContents();
  await level.selectOption('All levels');
  return markers.join('\n');
}

/** Returns the last numbers in the log of the engine. */
async function numbersOf(id, tail) {
  return (await docker('GET', `/containers/${id}/logs?stdout=1&tail=${tail}`)).match(/(?<=number )\d+/g)?.map(Number) ?? [];
}

/** Returns how many logs the daemon reads from the engine. */
async function openLogs() {
  const metrics = await bed.rdd('ctl', 'get', '--raw', '/metrics');
  const streams = [...metrics.matchAll(/^rdd_plugin_streams\{[^}]*kind="log"[^}]*\} (\d+)/gm)];
  assert.ok(streams.length > 0, metrics);
  return streams.reduce((sum, [, count]) => sum + Number(count), 0);
}

test('lines that the engine discarded while the page was away are missing behind a marker', options, async () => {
  const script = "trap 'seq 1 60000 | sed s/^/number\\ /' USR1; echo first; while :; do sleep 0.1; done";
  const host = { LogConfig: { Type: 'json-file', Config: { 'max-size': '20k', 'max-file': '2' } } };
  const id = await run('page-rotated', script, { host });
  const page = await bed.open();
  await page.getByRole('link', { name: 'page-rotated', exact: true }).click();
  await page.getByText('first', { exact: true }).waitFor();
  const unblock = bed.block();
  await page.getByText('reconnecting…').first().waitFor();
  await docker('POST', `/containers/${id}/kill?signal=USR1`);
  await eventually('all is written', async () => (await numbersOf(id, 1))[0] === 60_000);
  // Docker 20.10 sends a reader that follows other lines than one that comes later.
  await eventually('the daemon no longer reads the log', async () => (await openLogs()) === 0);
  await unblock();
  await page.getByText('number 60000', { exact: true }).waitFor();
  const marker = await remarks(page);
  assert.match(marker, /page-rotated: lines are missing after .*: the engine removed them/);
  const kept = (await savedLines(page)).flatMap((line) => /^number (\d+)$/.exec(line)?.[1] ?? []).map(Number);
  assert.ok(kept[0] > 1, 'the first ones were discarded');
  assert.deepEqual(kept, Array.from({ length: 60_001 - kept[0] }, (_, at) => kept[0] + at), 'none of the others is lost or doubled');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a restart of the engine under a followed log leaves a remark, and loses and doubles no line', options, async (context) => {
  const { stdout } = await promisify(execFile)(ENGINE, ['host']);
  if (stdout.trim() !== dockerHost) return context.skip('the engine is not that of scripts/engine');
  // They go on counting when the engine starts them again.
  const script = 'i=$(cat /count 2>/dev/null || echo 0); while :; do i=$((i+1)); echo $i >/next; mv /next /count; echo number $i; sleep 0.02; done';
  const settings = { host: { RestartPolicy: { Name: 'always' } }, labels: { 'com.docker.compose.project': 'page-engine' } };
  const names = ['page-engine', 'page-engine-2'];
  const ids = [];
  for (const name of names) ids.push(await run(name, script, settings));
  const page = await bed.open();
  await page.getByRole('link', { name: 'page-engine', exact: true }).click();
  const merged = await bed.open();
  await merged.getByRole('row', { name: 'page-engine', exact: true }).first().waitFor();
  await merged.evaluate(() => (location.hash = '#/logs?project=page-engine'));
  const last = async (shown) => Number((await rows(shown)).at(-1)?.split(' ')[1] ?? 0);
  for (const shown of [page, merged]) await eventually('lines arrive', async () => (await last(shown)) >= 20);
  await promisify(execFile)(ENGINE, ['stop']);
  const before = await Promise.all([page, merged].map(last));
  await page.getByText('reconnecting…').first().waitFor();
  await shot(page, 'engine-stopped');
  await promisify(execFile)(ENGINE, ['start']);
  for (const [at, shown] of [page, merged].entries()) {
    await eventually('new lines arrive', async () => (await last(shown)) > before[at] + 50);
    await shown.getByText('reconnecting…').first().waitFor({ state: 'detached' });
    await shown.locator('.problem').waitFor({ state: 'detached' });
    // It still follows.
    await shown.getByRole('button', { name: 'Pause' }).waitFor();
  }
  for (const id of ids) await eventually('it has counted further', async () => (await numbersOf(id, 1))[0] > 70);
  for (const id of ids) await docker('POST', `/containers/${id}/stop?t=0`);
  const expected = await Promise.all(ids.map((id) => numbersOf(id, 'all')));
  for (const numbers of expected) assert.ok(numbers.length > 70);
  const numberOf = (line) => Number(/number (\d+)$/.exec(line)?.[1]);

  await page.getByText(`number ${expected[0].at(-1)}`, { exact: true }).waitFor();
  assert.deepEqual((await savedLines(page)).map(numberOf), expected[0]);
  const [lastBefore, firstAfter] = (await linesAround(page, 'engine reconnected after')).map(numberOf);
  await shot(page, 'engine-restarted');
  assert.equal(expected[0].indexOf(firstAfter), expected[0].indexOf(lastBefore) + 1);
  assert.ok(lastBefore >= 20 && firstAfter < expected[0].at(-1), `${lastBefore} and ${firstAfter}`);

  const saved = async () => {
    const lines = await savedLines(merged);
    return names.map((name) => lines.filter((line) => line.startsWith(`${name} `)).map(numberOf));
  };
  await eventually('all lines are there', async () => (await saved()).flat().length >= expected.flat().length);
  assert.deepEqual(await saved(), expected);
  await linesAround(merged, 'engine reconnected after');
  // The daemon says of each log, and at each attempt, that it ended: the page says it once.
  const ends = (await remarks(merged)).split('\n').filter((remark) => remark.includes(' ended: '));
  for (const name of [/page-engine\b(?!-)/, /page-engine-2\b/]) {
    assert.ok(ends.filter((remark) => name.test(remark.split(' ended: ')[0])).length <= 1, ends.join('\n'));
  }
  await shot(merged, 'engine-restarted-merged');
  for (const shown of [page, merged]) {
    assert.deepEqual(shown.problems, []);
    await shown.context().close();
  }
});
