import { expect, test } from 'vitest';
import { LinePage } from '../src/log/linePage';
import { LineStore } from '../src/log/lineStore';
import { pageScanner } from '../src/log/pageScanner';
import { PatternMatcher } from '../src/log/patternMatcher';
import { requiredText } from '../src/log/requiredText';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const exact = { isRegex: true, isCaseSensitive: true };

/** Returns random numbers that are the same in each run. */
function randomNumbers(): (limit: number) => number {
  let seed = 11;
  return (limit) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return (seed >> 8) % limit;
  };
}

function required(pattern: string, options = exact): string | undefined {
  const found = requiredText(pattern, options);
  return found === undefined ? undefined : `${decoder.decode(found.bytes)}${found.isWhole ? '' : '…'}`;
}

test('the text that each match contains is seen in a pattern', () => {
  const cases: [string, string | undefined][] = [
    ['abc', 'abc'], ['status=5\\d\\d', 'status=5…'], ['ab*cde', 'cde…'], ['abcd?', 'abc…'], ['abc+d', 'abc…'], ['abcd+*', 'abc…'],
    ['abcd{0}', 'abc…'], ['a\\.b', 'a.b…'], ['\\(x\\)', '(x)…'], ['^abc$', 'abc…'], ['abc|def', undefined], ['(abc)?d', undefined],
    ['[abc]d', undefined], ['\\x41\\u0042', undefined], ['x{2,333}', undefined], ['\\d+', undefined], ['größere', 'ere…'],
    ['a.*bcd', 'bcd…'], ['', undefined], ['ab', undefined], ['a++?bcd', 'bcd…'],
  ];
  for (const [pattern, text] of cases) expect([pattern, required(pattern)]).toEqual([pattern, text]);
  expect(required('a.*b(', { isRegex: false, isCaseSensitive: true })).toBe('a.*b(');
  expect(required('x'.repeat(100))).toBe(`${'x'.repeat(32)}…`);
});

test('a page is searched with the same result as its lines one by one', () => {
  const random = randomNumbers();
  const pieces = ['a', 'b', 'ab', 'A', 'B', 'aba', 'x', '5', ' ', 'é', 'K', 'ſ', '\u001b[31m', '\u001b[0m', '\u001b]0;ab\u0007', '\u001b', 'abab', '.'];
  const patterns = ['a', 'ab', 'aba', 'abab', 'xa+', 'ab+x', 'a.b', 'a\\.b', '^ab', 'ab$', 'ab\\d', 'ab*a', 'bx?a', 'éa', 'k', 's', '[ab]5', '(ab|x)5', 'abx{0}5', 'aab+*', 'a{2}b', '31', '5 5', 'abab.', 'aba+b', 'xab*', 'abax?', '.aba', 'aba$', '^aba', 'abaé', 'a\\.ab', 'bab+*a', '0mab', '31m', '\\[0m'];
  let found = 0;
  for (let round = 0; round < 20; round += 1) {
    const page = new LinePage();
    const count = 1 + random(80);
    for (let line = 0; line < count; line += 1) {
      page.push(encoder.encode(Array.from({ length: random(10) }, () => pieces[random(pieces.length)]).join('')));
    }
    for (const text of patterns) {
      for (let option = 0; option < 8; option += 1) {
        const search = { text, isRegex: (option & 1) !== 0, isCaseSensitive: (option & 2) !== 0, isInverted: (option & 4) !== 0 };
        const matcher = new PatternMatcher(text, search);
        const expected = Array.from({ length: count }, (_, line) => (page.test(line, (...bytes) => matcher.matches(...bytes)) !== search.isInverted ? 1 : 0));
        pageScanner(matcher, search)(page);
        expect([...page.matches.subarray(0, count)], JSON.stringify(search)).toEqual(expected);
        found += expected.filter((isMatch) => isMatch === 1).length;
      }
    }
  }
  expect(found).toBeGreaterThan(5000);
});

test('text that repeats itself does not multiply the effort', () => {
  const page = new LinePage();
  const line = encoder.encode('a'.repeat(100));
  for (let at = 0; at < 8000; at += 1) page.push(line);
  page.push(encoder.encode(`b${'a'.repeat(31)}`));
  const search = { text: `b${'a'.repeat(31)}`, isRegex: false, isCaseSensitive: true, isInverted: false };
  let tested = 0;
  const matcher = new PatternMatcher(search.text, search);
  const counted = { matches: (...bytes: [Uint8Array, number, number]) => ((tested += 1), matcher.matches(...bytes)) };
  pageScanner(counted as PatternMatcher, search)(page);
  // The automaton has read each line instead.
  expect(tested).toBe(8001);
  expect(page.matches.indexOf(1)).toBe(8000);
});

test('remarks do not match, and neither does text across two lines', () => {
  const store = new LineStore();
  const entry = (text: string) => ({ time: 1n, isStderr: false, isPartial: false, bytes: encoder.encode(text) });
  store.append(0, [entry('xab'), entry('cx'), entry('abc')]);
  store.appendMarker(0, 'abc');
  for (const [isInverted, count] of [[false, 1], [true, 2]] as const) {
    const search = { text: 'abc', isRegex: false, isCaseSensitive: false, isInverted };
    const matcher = new PatternMatcher('abc', search);
    for (const _ of store.search((...line) => matcher.matches(...line) !== isInverted, pageScanner(matcher, search)));
    expect(store.matchCount).toBe(count);
  }
});
