// What the page does with the lines of a log, with an engine without processes.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { assertAccessible, rows, rowsAndRemarks, violations } from './helpers.mjs';
import { eventually, Testbed } from './testbed.mjs';

let bed;
before(async () => {
  bed = await Testbed.start();
});
after(() => bed.stop());

/** Opens the log of a new container with some lines. */
async function openLog(name, lines, options = {}) {
  const container = bed.engine.add(name);
  bed.engine.write(container, lines);
  const page = await bed.open(undefined, { permissions: ['clipboard-read', 'clipboard-write'], ...options });
  await page.getByRole('link', { name, exact: true }).click();
  await eventually('the lines are there', async () => (await rows(page)).length > 0);
  return { page, container };
}

const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText());

test('levels and streams are told apart and filtered, around the line that is shown', async () => {
  const lines = Array.from({ length: 400 }, (_, at) => `INFO line ${at}`);
  lines[200] = 'ERROR it broke';
  lines[201] = { text: '  at stack (file.js:1)', stderr: false };
  lines.push({ text: 'WARN low disk', stderr: true }, { text: 'plain', stderr: true });
  const { page, container } = await openLog('levels', lines);
  await page.getByText('low disk').waitFor();
  const level = page.getByLabel('Level', { exact: true });
  await level.selectOption('Errors');
  await eventually('two are left', async () => (await rows(page)).join('|') === 'ERROR it broke|  at stack (file.js:1)');
  await page.getByText('2 of 402 lines').waitFor();
  bed.engine.write(container, ['INFO not shown', 'ERROR another']);
  await eventually('a new one is shown', async () => (await rows(page)).length === 3);
  await assertAccessible(page, 'errors');
  // Around an error there is what led to it.
  await page.locator('.line', { hasText: 'it broke' }).locator('.time').click();
  await page.locator('.line.current', { hasText: 'it broke' }).waitFor();
  await level.selectOption('All levels');
  await page.locator('.line.current', { hasText: 'it broke' }).waitFor();
  await page.getByText('INFO line 199').waitFor();
  await page.getByLabel('Stream', { exact: true }).selectOption('Standard error');
  await eventually('two are left', async () => (await rows(page)).join('|') === 'WARN low disk|plain');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('lines of JSON are folded into fields, searched as shown, and shown whole on demand', async () => {
  const line = '{"level":"warn","ts":1,"msg":"slow query","ms":512,"sql":"select 1"}';
  const { page } = await openLog('json', ['before', line, '{"broken":']);
  await eventually('it is folded', async () => (await rows(page)).join('|') === 'before|slow query  ms=512 sql="select 1"|{"broken":');
  await page.getByLabel('Search the log').fill('ms=512');
  await page.getByText('0 lines', { exact: true }).waitFor();
  await page.getByLabel('Search the log').fill('512');
  await page.locator('mark', { hasText: '512' }).waitFor();
  await assertAccessible(page, 'json');
  await page.keyboard.press('Escape');
  await page.keyboard.press('J');
  await eventually('it is whole', async () => (await rows(page))[1] === line);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a search can be inverted, and leave only what matches', async () => {
  const { page, container } = await openLog('only', Array.from({ length: 300 }, (_, at) => (at % 100 === 0 ? `pick ${at}` : `drop ${at}`)));
  await page.getByLabel('Search the log').fill('pick');
  await page.getByText('3 lines', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Only' }).click();
  await eventually('three are left', async () => (await rows(page)).join() === 'pick 0,pick 100,pick 200');
  bed.engine.write(container, ['drop 300', 'pick 301']);
  await eventually('a new match is shown', async () => (await rows(page)).join() === 'pick 0,pick 100,pick 200,pick 301');
  await page.getByRole('button', { name: 'Lines without it' }).click();
  await page.getByText('298 lines', { exact: true }).waitFor();
  await eventually('the others are left', async () => (await rows(page)).at(-1) === 'drop 300');
  await page.getByRole('button', { name: 'Only' }).click();
  await eventually('all are back', async () => (await rows(page)).at(-1) === 'pick 301');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('what is shown can be copied and saved, and the whole range as well', async () => {
  const { page } = await openLog('saved', [
    ...Array.from({ length: 12_000 }, (_, at) => `line ${at}`), '\u001b[31mERROR\u001b[0m last',
  ]);
  await page.getByText('10,000 lines', { exact: true }).waitFor();
  const save = async (name) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()]);
    return readFileSync(await file.path(), 'utf8').trimEnd().split('\n');
  };
  const shown = await save('Save shown');
  assert.equal(shown.length, 10_000);
  const whole = await save('Save all');
  assert.equal(whole.length, 12_001);
  assert.match(whole[0], /^\d{4}-\d\d-\d\dT[\d:.]+Z line 0$/);
  assert.ok(whole.at(-1).endsWith('\u001b[31mERROR\u001b[0m last'));
  await page.getByLabel('Level', { exact: true }).selectOption('Errors');
  await page.getByText('1 of 10,000 lines').waitFor();
  assert.equal((await save('Save shown')).length, 1);
  await page.getByRole('button', { name: 'Copy', exact: true }).click();
  await page.getByText('Copied.').waitFor();
  assert.equal(await clipboard(page), 'ERROR last');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a link to a line leads to the same line, whatever is written meanwhile', async () => {
  const { page, container } = await openLog('linked', Array.from({ length: 300 }, (_, at) => `line ${at}`));
  await page.getByText('line 299').waitFor();
  await page.keyboard.press('g');
  await page.locator('.line', { hasText: /^.*line 7$/ }).locator('.time').click();
  await page.locator('.line.current', { hasText: 'line 7' }).waitFor();
  await page.keyboard.press('c');
  await page.getByText('The line is copied.').waitFor();
  assert.equal(await clipboard(page), 'line 7');
  await page.keyboard.press('j');
  await page.locator('.line.current', { hasText: 'line 8' }).waitFor();
  await page.keyboard.press('l');
  await page.getByText('The link is copied.').waitFor();
  const link = await clipboard(page);
  assert.ok(!link.includes(await page.evaluate(() => sessionStorage.getItem('rdd-session'))));
  bed.engine.write(container, Array.from({ length: 12_000 }, (_, at) => `later ${at}`));
  await page.goto('about:blank');
  await page.goto(link);
  await page.locator('.line.current', { hasText: 'line 8' }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a range is read from the engine, and is part of the address', async () => {
  const container = bed.engine.add('ranged');
  bed.engine.write(container, ['old']);
  container.log[0].time -= 7_200_000_000_000n;
  bed.engine.write(container, ['new']);
  const page = await bed.open();
  await page.getByRole('link', { name: 'ranged', exact: true }).click();
  await eventually('both are there', async () => (await rows(page)).join() === 'old,new');
  await page.getByLabel('Range', { exact: true }).selectOption('Last hour');
  await eventually('one is left', async () => (await rows(page)).join() === 'new');
  assert.match(page.url(), /since=1h/);
  await page.getByLabel('Range', { exact: true }).selectOption('Choose a range…');
  assert.deepEqual(await violations(page), []);
  const hourAgo = await page.evaluate(() => {
    const time = new Date(Date.now() - 3_600_000);
    return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  });
  await page.getByLabel('Until').fill(hourAgo);
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await eventually('the old one is left', async () => (await rows(page)).join() === 'old');
  await page.getByText(/lines?, ended$/).waitFor();
  await page.goBack();
  await eventually('the range before is back', async () => (await rows(page)).join() === 'new');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('times are local, in UTC, relative, or left out', async () => {
  const { page } = await openLog('times', ['one'], { timezoneId: 'Asia/Tokyo' });
  const time = () => page.locator('.line .time').first().textContent();
  const utc = await page.locator('.line time').first().getAttribute('datetime');
  const tokyo = new Date(Date.parse(utc) + 9 * 3_600_000).toISOString().slice(11, 23);
  assert.equal(await time(), tokyo);
  const select = page.getByLabel('Times', { exact: true });
  await select.selectOption('UTC');
  await eventually('in UTC', async () => (await time()) === `${utc.slice(11, 23)}Z`);
  await select.selectOption('Relative');
  await eventually('relative', async () => /^\d+[sm] ago$/.test(await time()));
  await select.selectOption('No times');
  await eventually('none', async () => (await page.locator('.line .time').count()) === 0);
  await page.context().close();
});

test('a log can be read by keyboard alone', async () => {
  const container = bed.engine.add('keys');
  bed.engine.write(container, Array.from({ length: 2000 }, (_, at) => `line ${at}`));
  const page = await bed.open();
  await page.getByRole('link', { name: 'keys', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.getByText('line 1999').waitFor();
  const log = page.getByRole('log');
  assert.equal(await log.getAttribute('aria-live'), 'off');
  // Everything can be reached, and what has the focus shows it.
  const seen = new Set();
  for (let step = 0; step < 30; step += 1) {
    await page.keyboard.press('Tab');
    const [name, outline] = await page.evaluate(() => {
      const node = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(node);
      return [node.getAttribute('aria-label') ?? node.textContent, `${outlineStyle} ${outlineWidth}`];
    });
    seen.add(name.slice(0, 40));
    if (name !== '') assert.notEqual(outline.split(' ')[0], 'none', name);
    if (name.startsWith('Log of')) break;
  }
  for (const name of ['Search the log', 'Pause', 'Level', 'Copy', 'Log of keys']) assert.ok(seen.has(name), `${name} in ${[...seen].join(', ')}`);
  await page.keyboard.press('Home');
  await page.getByText('line 0', { exact: true }).waitFor();
  await page.keyboard.press('PageDown');
  await page.getByRole('button', { name: /Follow/ }).waitFor();
  await page.keyboard.press('F');
  await page.getByText('line 1999').waitFor();
  await page.keyboard.press('p');
  await page.getByRole('button', { name: 'Continue' }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('an engine that was away leaves one remark in merged logs, which is announced', async () => {
  const labels = { 'com.docker.compose.project': 'away' };
  const [one, two] = ['away-1', 'away-2'].map((name) => bed.engine.add(name, { labels }));
  let known = 0;
  const write = (text) => {
    bed.engine.write(one, [`one ${text}`]);
    bed.engine.write(two, [`two ${text}`]);
    known += 2;
  };
  write('before');
  const page = await bed.open();
  await page.getByRole('link', { name: 'away-1', exact: true }).waitFor();
  const back = /^— engine reconnected after \d+s: it was restarted or could not be reached$/;
  for (const [hash, endsLogs] of [
    ['#/logs?project=away', true],
    [`#/logs?container=${one.id}&container=${two.id}`, false],
  ]) {
    await page.evaluate((next) => (location.hash = next), hash);
    const before = known;
    await eventually('both logs are there', async () => (await rowsAndRemarks(page)).length === before);
    await page.evaluate(recordAnnouncements);
    await bed.engine.stop();
    if (endsLogs) await eventually('both logs have ended', async () => endedLogs(await rowsAndRemarks(page)) === 'away-1,away-2');
    else await page.getByText('reconnecting…').first().waitFor();
    await bed.engine.start();
    write('after');
    const isEnd = (text) => text.includes(' ended: ');
    const expected = [back, /^(one|two) after$/, /^(one|two) after$/];
    const shown = async () => (await rowsAndRemarks(page)).slice(before);
    await eventually('both logs go on', async () => (await shown()).filter((text) => !isEnd(text)).length >= expected.length);
    const ends = (await shown()).filter(isEnd);
    assert.equal(endedLogs(ends), endsLogs ? 'away-1,away-2' : '');
    const added = (await shown()).filter((text) => !isEnd(text));
    assert.equal(added.length, expected.length, added.join('\n'));
    expected.forEach((pattern, at) => assert.match(added[at], pattern));
    await page.getByText('reconnecting…').first().waitFor({ state: 'detached' });
    const announced = await page.evaluate(() => globalThis.announced);
    assert.equal(announced.filter((text) => text.startsWith('Engine reconnected')).length, 1, announced.join('\n'));
  }
  await assertAccessible(page, 'engine-back');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

/** Returns the logs that ended according to remarks: a busy daemon says it of one later. */
function endedLogs(texts) {
  const lost = /^— the logs? of (away-.*) ended: the connection to the engine failed/;
  return texts.flatMap((text) => lost.exec(text)?.[1].split(', ') ?? []).sort().join();
}

/** Runs in the page: records what readers of the screen get. */
function recordAnnouncements() {
  globalThis.announced = [];
  const region = document.querySelector('.log-view > [role=status]:last-child');
  new MutationObserver(() => globalThis.announced.push(region.textContent)).observe(region, { subtree: true, childList: true, characterData: true });
}
