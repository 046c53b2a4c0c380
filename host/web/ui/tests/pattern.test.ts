import { expect, test } from 'vitest';
import { matchRanges } from '../src/log/lineView';
import { PatternMatcher } from '../src/log/patternMatcher';
import { PatternError } from '../src/log/patternSyntax';

const encoder = new TextEncoder();
const regex = { isRegex: true, isCaseSensitive: true };

function matches(pattern: string, text: string, options = regex): boolean {
  const bytes = encoder.encode(text);
  return new PatternMatcher(pattern, options).matches(bytes, 0, bytes.length);
}

test('lines match as with the regular expressions of the language', () => {
  const patterns = [
    'abc', 'a|b', 'a*b', 'a+b', 'ab?c', '^a', 'b$', '^ab$', '^$', 'a.c', '[a-c]+d', '[^a-c]', '\\d+',
    '\\w+@\\w+', '(ab)+c', '(a|b)*abb', 'a{2}', 'a{2,}b', 'a{1,3}b', '(?:x|y)z', '\\.', '[\\]a]', 'é', '[é-ü]',
    '.€', 'a.*z', '\\s', '[-a]', '(a*)*b', '\\bx', '^(a|^b)c',
  ];
  const texts = [
    '', 'a', 'b', 'ab', 'abc', 'aab', 'aaab', 'xabcx', 'abb', 'aabb', 'babb', 'c', 'ac', 'a-c', 'd', 'abd',
    '42', 'me@host', 'ababc', '.', ']', 'é', 'ö', 'x€', 'a…z', ' ', '-', 'xz', 'bc', '日本語', 'cz',
  ];
  for (const pattern of patterns) {
    if (pattern === '\\bx') {
      expect(() => new PatternMatcher(pattern, regex)).toThrow(PatternError);
      continue;
    }
    const expected = new RegExp(pattern, 'u'.repeat(pattern === '[-a]' ? 0 : 1));
    for (const text of texts) {
      expect(matches(pattern, text), `/${pattern}/ on ${JSON.stringify(text)}`).toBe(expected.test(text));
    }
  }
});

test('text is searched for as it is, in any case unless it matters', () => {
  const text = { isRegex: false, isCaseSensitive: false };
  expect(matches('a.c(', 'XA.C(Y', text)).toBe(true);
  expect(matches('a.c(', 'abc(', text)).toBe(false);
  expect(matches('straße ÄÖ', 'die STRAßE äö', text)).toBe(true);
  expect(matches('abc', 'ABC', { ...text, isCaseSensitive: true })).toBe(false);
});

test('escape sequences of terminals do not split what is searched for', () => {
  expect(matches('error', 'a \u001b[31merr\u001b[0mor')).toBe(true);
  expect(matches('31', '\u001b[31mx')).toBe(false);
  expect(matches('^x$', '\u001b]0;title\u0007x\u001b[0m')).toBe(true);
});

test('matches are found at their places in the text', () => {
  const matcher = new PatternMatcher('b+|é', regex);
  expect(matchRanges('abba', matcher)).toEqual([1, 3]);
  expect(matchRanges('é€b', matcher)).toEqual([0, 1, 2, 3]);
  expect(matchRanges('a\u001b[1mb\u001b[0mb', matcher)).toEqual([1, 3]);
  expect(matchRanges('aXbX', new PatternMatcher('^a|X$', regex))).toEqual([0, 1, 3, 4]);
});

test('patterns that are wrong are rejected with a sentence', () => {
  for (const pattern of ['(', ')', '[', '[b-a]', 'a{3,2}', '*', '(?=a)', '\\q', '\\', 'x{5000}', '((a{900}){900})']) {
    expect(() => new PatternMatcher(pattern, regex), pattern).toThrow(PatternError);
  }
});

test('a pattern that takes exponential time elsewhere takes linear time', () => {
  const matcher = new PatternMatcher('(a|a)*(a|aa)+$', regex);
  const bytes = encoder.encode(`${'a'.repeat(100_000)}b`);
  expect(matcher.matches(bytes, 0, bytes.length)).toBe(false);
});

test('a pattern of very many states forgets them and still finds', () => {
  const pattern = '[ab]*a[ab]{14}c';
  const matcher = new PatternMatcher(pattern, regex);
  let seed = 1;
  for (let round = 0; round < 200; round += 1) {
    const text = Array.from({ length: 120 }, () => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return 'aabbc'[(seed >> 8) % 5];
    }).join('');
    const bytes = encoder.encode(text);
    expect(matcher.matches(bytes, 0, bytes.length)).toBe(new RegExp(pattern).test(text));
  }
});
