// The pictures of the README: `scripts/page images RDD` puts them into docs/images.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Testbed } from './testbed.mjs';

const PLACE = process.env.RDD_TEST_IMAGES ?? mkdtempSync(join(tmpdir(), 'rdd-images-'));
// The repository has them for ever.
const MAX_BYTES = 150_000;
let bed;

before(async () => {
  mkdirSync(PLACE, { recursive: true });
  bed = await Testbed.start();
  const hours = (count) => new Date(Date.now() - count * 3_600_000).toISOString();
  const add = (project, service, image, options = {}) =>
    bed.engine.add(project === '' ? service : `${project}-${service}-1`, {
      image,
      createdAt: hours(5),
      labels: project === '' ? {} : { 'com.docker.compose.project': project, 'com.docker.compose.service': service },
      ...options,
    });
  const port = (inside, outside) => ({ [`${inside}/tcp`]: [{ HostIp: '0.0.0.0', HostPort: String(outside) }] });
  const web = add('shop', 'web', 'nginx:1.29', { ports: port(80, 8080) });
  const cart = add('shop', 'cart', 'shop/cart:2.4.1', { ports: port(9000, 9000) });
  const database = add('shop', 'database', 'postgres:18');
  add('shop', 'queue', 'rabbitmq:4', { state: 'paused' });
  add('blog', 'site', 'ghost:6', { createdAt: hours(60), ports: port(2368, 2368) });
  add('blog', 'backup', 'restic/restic:0.18', { createdAt: hours(60), state: 'exited' });
  add('', 'registry', 'registry:3', { createdAt: hours(400), ports: port(5000, 5000) });
  add('', 'scratch', 'busybox:latest', { createdAt: hours(0.2), state: 'created' });
  let time = BigInt(Date.parse('2026-01-31T12:00:00Z')) * 1_000_000n;
  const write = (container, text, stderr = false) => {
    time += 37_000_000n;
    bed.engine.write(container, [{ text, stderr, time }]);
  };
  for (let at = 0; at < 9; at += 1) {
    write(web, `10.0.3.${at + 4} "GET /cart/${1200 + at} HTTP/1.1" \u001b[32m200\u001b[0m 0.0${at + 11}`);
    if (at % 3 === 1) write(database, 'LOG:  checkpoint complete: wrote 42 buffers (0.3%)', true);
    if (at === 5) {
      write(database, 'ERROR:  deadlock detected', true);
      write(database, '  DETAIL:  process 71 waits for process 74', true);
      write(cart, '{"level":"error","msg":"cannot save the cart","id":1205,"error":"deadlock detected"}');
      write(cart, '{"level":"warn","msg":"trying again","id":1205,"attempt":2}');
    }
    write(cart, `{"level":"info","msg":"cart loaded","id":${1200 + at},"items":${at % 4},"ms":${at * 3 + 5}}`);
  }
});
after(async () => {
  await bed.stop();
  if (process.env.RDD_TEST_IMAGES === undefined) rmSync(PLACE, { recursive: true });
});

async function picture(page, name) {
  const path = join(PLACE, `${name}.png`);
  await page.screenshot({ path, animations: 'disabled', caret: 'hide' });
  const { size } = statSync(path);
  assert.ok(size < MAX_BYTES, `${name}.png has ${size} bytes`);
}

test('the list of containers', async () => {
  const page = await bed.open(undefined, { viewport: { width: 1000, height: 500 }, colorScheme: 'light', timezoneId: 'UTC' });
  await page.getByRole('link', { name: 'shell shop-web-1' }).waitFor();
  await page.locator('.notice').waitFor({ state: 'detached' });
  await picture(page, 'containers');
  await page.context().close();
});

test('merged logs', async () => {
  const page = await bed.open(undefined, { viewport: { width: 1080, height: 520 }, colorScheme: 'light', timezoneId: 'UTC' });
  await page.getByRole('row', { name: 'shop', exact: false }).getByRole('link', { name: 'Logs' }).click();
  await page.getByText('deadlock detected').first().waitFor();
  await page.getByLabel('Search the log').fill('1205');
  await page.locator('mark').first().waitFor();
  await picture(page, 'logs');
  await page.context().close();
});

test('a phone with a dark screen', async () => {
  const page = await bed.open(undefined, { viewport: { width: 360, height: 640 }, colorScheme: 'dark', deviceScaleFactor: 1.5, timezoneId: 'UTC' });
  await page.getByRole('row', { name: 'shop', exact: false }).getByRole('link', { name: 'Logs' }).click();
  await page.getByText('deadlock detected').first().waitFor();
  await picture(page, 'phone');
  await page.context().close();
});

test('a thousand containers', async () => {
  for (let at = 0; at < 992; at += 1) {
    const project = `team-${10 + (at % 30)}`;
    bed.engine.add(`${project}-api-${at}`, {
      image: `registry.example/api:${1 + (at % 9)}`,
      labels: { 'com.docker.compose.project': project, 'com.docker.compose.service': `api-${at}` },
    });
  }
  const page = await bed.open(undefined, { viewport: { width: 1000, height: 500 }, colorScheme: 'light', timezoneId: 'UTC' });
  await page.getByRole('link', { name: 'team-39-api-989', exact: true }).waitFor();
  await page.locator('.notice').waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'team-24-api-434', exact: true }).scrollIntoViewIfNeeded();
  await picture(page, 'thousand');
  await page.context().close();
});

test('three containers at a thousand lines per second', async () => {
  const containers = ['api', 'worker', 'cache'].map((service) =>
    bed.engine.add(`busy-${service}-1`, { labels: { 'com.docker.compose.project': 'busy', 'com.docker.compose.service': service } }),
  );
  const page = await bed.open(undefined, { viewport: { width: 1080, height: 520 }, colorScheme: 'light', timezoneId: 'UTC' });
  await page.getByRole('row', { name: 'busy', exact: false }).getByRole('link', { name: 'Logs' }).click();
  await page.getByLabel('Search the log').waitFor();
  const begun = performance.now();
  for (let written = 0; written < 3000; ) {
    const due = Math.min(3000, Math.floor(performance.now() - begun));
    for (; written < due; written += 1) {
      const stderr = written % 7 === 0;
      const text = stderr ? `WARN slow query id=${written}` : `INFO request ${written} took=${written % 97}ms`;
      bed.engine.write(containers[written % 3], [{ text, stderr }]);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await page.getByText('3,000 lines', { exact: true }).waitFor();
  await picture(page, 'merged');
  await page.context().close();
});

test('a search in a million lines', async () => {
  const container = bed.engine.add('huge');
  const start = BigInt(Date.now() - 1_800_000) * 1_000_000n;
  const text = (at) => `INFO request ${at} took=${at % 997}ms ${at % 1000 === 500 ? 'needle' : 'common'} path=/api/items/${at % 5000}?page=2`;
  for (let from = 0; from < 1_000_000; from += 10_000) {
    bed.engine.write(container, Array.from({ length: 10_000 }, (_, at) => ({ text: text(from + at), time: start + BigInt(from + at) * 1000n })));
  }
  const page = await bed.open(undefined, { viewport: { width: 1080, height: 420 }, colorScheme: 'light', timezoneId: 'UTC' });
  await page.getByRole('link', { name: 'huge', exact: true }).waitFor();
  await page.evaluate((id) => (location.hash = `#/logs?container=${id}&since=1h`), container.id);
  await page.getByText('1,000,000 lines', { exact: true }).waitFor({ timeout: 300_000 });
  await page.getByLabel('Search the log').fill('needle');
  await page.getByText('1,000 lines', { exact: true }).waitFor();
  await picture(page, 'million');
  await page.context().close();
});
