// Measures the page in a browser: `node bench.mjs [NAME…]`. Each result is a line of
// JSON on standard output, which the benchmark program turns into a row of its table.
// It asserts no times; it fails if the page does not show what it should.

import { measures } from './benchMeasures.mjs';

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in measures));
if (unknown.length > 0) {
  process.stderr.write(`there is no ${unknown.join(', ')}; there are ${Object.keys(measures).join(', ')}\n`);
  process.exit(2);
}
for (const [name, measure] of Object.entries(measures)) {
  if (names.length > 0 && !names.includes(name)) continue;
  await measure((what, value, bar) => process.stdout.write(`${JSON.stringify({ measure: what, value, bar })}\n`));
}
