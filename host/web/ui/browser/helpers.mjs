// What the tests of the page share.

import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const SHOTS = process.env.RDD_TEST_SCREENSHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Returns the lines of a log that are drawn. */
export const rows = (page) => page.locator('.log .line:not(.marker) .text').allTextContents();

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

/** Returns whether the page is as wide as the screen, and no wider. */
export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
