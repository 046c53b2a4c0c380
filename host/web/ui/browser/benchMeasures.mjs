// What is measured of the page, with an engine without processes.

import { get } from 'node:http';
import { heapBytes } from './benchHeap.mjs';
import { recordDraws, recordFrames, recordPaints, timeSearch } from './benchRecorders.mjs';
import { median, percentile } from './benchSamples.mjs';
import { eventually, Testbed } from './testbed.mjs';

const ROUNDS = 5;
const CONTAINERS = 1000;
const LINES = 1_000_000;
const LINE_BYTES = 100;
const BATCH = 20_000;
// How long lines are written at a rate, in seconds.
const STEADY_SECONDS = 20;
const FLOOD_SECONDS = 60;
const SCROLL_SECONDS = 5;
const MINUTES = 60_000;

const inMillis = (value) => `${value.toFixed(0)} ms`;

export const measures = { list, lines, latency, flood, script };

/** Runs with a daemon and a browser of its own. */
async function withBed(run) {
  const bed = await Testbed.start();
  try {
    await run(bed);
  } finally {
    await bed.stop();
  }
}

/** A list of a thousand containers: from the last byte of the data to the frame. */
async function list(report) {
  await withBed(async (bed) => {
    for (let at = 0; at < CONTAINERS; at += 1) {
      bed.engine.add(`many-${at}`, {
        labels: { 'com.docker.compose.project': `project-${at % 40}` },
        ports: at % 3 === 0 ? { '80/tcp': [{ HostIp: '', HostPort: String(10_000 + at) }] } : {},
        state: at % 5 === 0 ? 'exited' : 'running',
      });
    }
    const page = await bed.open();
    await eventually('all are listed', async () => (await page.locator('td.name').count()) === CONTAINERS);
    await page.addInitScript(recordDraws, CONTAINERS);
    const [first, all, paint] = [[], [], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      await page.reload();
      await eventually('all are drawn', () => page.evaluate(() => globalThis.draws.all !== undefined));
      const draws = await page.evaluate(() => {
        const lists = performance.getEntriesByType('resource').filter(({ name }) => /\/containers\?limit=/.test(name));
        const [shown] = performance.getEntriesByName('first-contentful-paint');
        return { ...globalThis.draws, data: Math.max(...lists.map(({ responseEnd }) => responseEnd)), paint: shown.startTime };
      });
      first.push(draws.first - draws.data);
      all.push(draws.all - draws.data);
      paint.push(draws.paint);
    }
    report('1,000 containers: data in the browser → the first screen is drawn', inMillis(median(first)), '≤ 200 ms');
    report('the same → all rows are drawn', inMillis(median(all)), 'none');
    report('first paint of the page', inMillis(median(paint)), '≤ 300 ms');
  });
}

/** Returns a line of a hundred bytes; one of a thousand has the word that is searched for. */
function lineText(at) {
  const word = at % 1000 === 500 ? 'needle' : 'common';
  return `INFO request ${at} took=${at % 997}ms ${word} path=/api/items/${at % 5000}?page=2`.padEnd(LINE_BYTES, '.');
}

/** Opens a log of so many lines, all of them. */
async function openLog(bed, name, count) {
  const container = bed.engine.add(name);
  // What is older than the log is no part of its range.
  const start = BigInt(Date.now() - 30 * MINUTES) * 1_000_000n;
  const write = (from, to) =>
    bed.engine.write(container, Array.from({ length: to - from }, (_, at) => ({ text: lineText(from + at), time: start + BigInt(from + at) * 1000n })));
  for (let from = 0; from < count; from += BATCH) write(from, Math.min(count, from + BATCH));
  const page = await bed.open();
  await page.getByRole('link', { name, exact: true }).waitFor();
  await page.evaluate((id) => (location.hash = `#/logs?container=${id}&since=1h`), container.id);
  await page.getByText(`${count.toLocaleString('en-US')} lines`, { exact: true }).waitFor({ timeout: 10 * MINUTES });
  return { page, container };
}

/** The heap, the search, and scrolling, with a million lines. */
async function lines(report) {
  await withBed(async (bed) => {
    for (const [count, bar] of [[LINES / 10, '≤ 200 ms'], [LINES, '≤ 1 s']]) {
      const { page } = await openLog(bed, `lines-${count}`, count);
      const name = count.toLocaleString('en-US');
      if (count === LINES) {
        const bytes = await heapBytes(page);
        report(`${name} lines of 100 bytes: heap of the page and its worker`, `${(bytes / 1e6).toFixed(0)} MB`, '≤ 300 MB');
      }
      for (const [what, text, isRegex, found, goal] of [
        ['a text', 'needle', false, count / 1000, bar],
        ['an expression', 'took=\\d+ms n', true, count / 1000, bar],
        ['an expression without a text', '[m-o]e+d', true, count / 1000, 'none'],
      ]) {
        const times = [];
        for (let round = 0; round < ROUNDS; round += 1) {
          times.push(await page.evaluate(timeSearch, { text, isRegex, result: `${found.toLocaleString('en-US')} lines` }));
        }
        report(`search ${name} lines for ${what}`, inMillis(median(times)), goal);
      }
      if (count === LINES) {
        const frames = await page.evaluate(recordFrames, SCROLL_SECONDS * 1000);
        report(`scroll through ${name} lines: time of a frame, p95`, `${percentile(frames, 0.95).toFixed(1)} ms`, '≤ 17 ms');
      }
      await page.context().close();
    }
  });
}

/** Writes lines at a rate, which have the text that a function returns. */
async function writeSteadily(bed, container, { rate, seconds, text }) {
  const begun = performance.now();
  let written = 0;
  while (written < rate * seconds) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - begun) / 1000) * rate));
    if (due > written) {
      bed.engine.write(container, Array.from({ length: due - written }, (_, at) => text(written + at)));
      written = due;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return written;
}

/** From a written line to its frame, at a thousand lines per second. */
async function latency(report) {
  await withBed(async (bed) => {
    const { page, container } = await openLog(bed, 'steady', 100);
    await page.evaluate(recordPaints);
    const times = [];
    const count = await writeSteadily(bed, container, {
      rate: 1000,
      seconds: STEADY_SECONDS,
      text: (at) => {
        times.push(Date.now());
        return `line=${at} `.padEnd(LINE_BYTES, '.');
      },
    });
    await eventually('the last one is drawn', () => page.evaluate((last) => globalThis.paints.at(-1)?.[0] === last, count - 1));
    const delays = [];
    let next = 0;
    // A frame shows the lines up to one.
    for (const [last, time] of await page.evaluate(() => globalThis.paints)) {
      for (; next <= last; next += 1) delays.push(time - times[next]);
    }
    report('1,000 lines/s: line written → drawn, p50', inMillis(median(delays)), 'none');
    report('the same, p99', inMillis(percentile(delays, 0.99)), '≤ 100 ms');
  });
}

/** Long tasks and lost lines at twenty thousand lines per second. */
async function flood(report) {
  await withBed(async (bed) => {
    const { page, container } = await openLog(bed, 'flood', 100);
    await page.evaluate(() => {
      globalThis.longTasks = [];
      new PerformanceObserver((entries) => {
        for (const { duration } of entries.getEntries()) globalThis.longTasks.push(duration);
      }).observe({ type: 'longtask' });
    });
    const begun = performance.now();
    const written = await writeSteadily(bed, container, { rate: 20_000, seconds: FLOOD_SECONDS, text: (at) => lineText(at) });
    const rate = written / ((performance.now() - begun) / 1000);
    const total = (written + 100).toLocaleString('en-US');
    // The oldest may be left out, which the page says.
    await eventually('all lines are there', async () => {
      const text = await page.locator('.toolbar:has(.title) > [role=status]').last().textContent();
      const [shown = 0, left = 0] = text.match(/[\d,]+(?= (?:lines|older))/g)?.map((part) => Number(part.replaceAll(',', ''))) ?? [];
      return (shown + left).toLocaleString('en-US') === total;
    }, 5 * MINUTES);
    const tasks = await page.evaluate(() => globalThis.longTasks);
    const longest = tasks.length === 0 ? '' : `, the longest ${inMillis(Math.max(...tasks))}`;
    report(`${Math.round(rate).toLocaleString('en-US')} lines/s for ${FLOOD_SECONDS} s, none lost: tasks over 50 ms`, `${tasks.length}${longest}`, '0');
  });
}

/** The size of what the page loads before a shell is opened. */
async function script(report) {
  await withBed(async (bed) => {
    const sizes = await Promise.all(['page.js', 'worker.js', 'lineStore.js'].map((name) => compressedSize(bed.port, name)));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    report('script without the terminal, compressed', `${(total / 1000).toFixed(0)} KB`, '≤ 150 KB');
  });
}

function compressedSize(port, name) {
  return new Promise((resolve, reject) => {
    const call = get({ host: '127.0.0.1', port, path: `/ui/${name}`, headers: { 'accept-encoding': 'gzip' } }, (response) => {
      let size = 0;
      response.on('data', (part) => (size += part.length));
      response.on('end', () => {
        if (response.statusCode === 200 && response.headers['content-encoding'] === 'gzip') resolve(size);
        else reject(new Error(`${name}: ${response.statusCode}, ${response.headers['content-encoding']}`));
      });
    });
    call.on('error', reject);
  });
}
