// What the tests of the page share.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const SHOTS = process.env.RDD_TEST_SCREENSHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Returns the lines of a log that are drawn. */
export const rows = (page) => page.locator('.log .line:not(.marker) .text').allTextContents();

/** Returns the lines of a log that are drawn, and its remarks, each after a dash. */
export const rowsAndRemarks = (page) =>
  page.locator('.log .line').evaluateAll((lines) =>
    lines.map((line) => `${line.matches('.marker') ? '— ' : ''}${line.querySelector('.text').textContent}`));

/** Takes a picture for the person who works on the page, if there is a place for it. */
export async function shot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

/** Returns the violations of rules for accessibility. */
export async function violations(page) {
  // Evaluated by the test, not by the page: its policy allows no scripts but its own.
  await page.evaluate(axe);
  const result = await page.evaluate(() => globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] }));
  return result.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

/** Checks a state in both color schemes, and on a narrow screen. */
export async function assertAccessible(page, name) {
  const size = page.viewportSize();
  await shot(page, name);
  for (const colorScheme of ['dark', 'light']) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], `${name}, ${colorScheme}`);
  }
  await page.setViewportSize({ width: 360, height: 700 });
  assert.ok(await fits(page), `${name} fits a narrow screen`);
  assert.deepEqual(await violations(page), [], `${name}, narrow`);
  await page.setViewportSize(size);
}

/** Returns whether the page is as wide as the screen, and no wider. */
export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
