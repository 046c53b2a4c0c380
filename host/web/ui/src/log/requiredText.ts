// The text that each line with a match contains, so that a search can skip the lines
// without it.

import type { PatternOptions } from './patternSyntax';

export interface RequiredText {
  /** Bytes of ASCII. */
  bytes: Uint8Array;
  /** Whether each line that contains the text has a match. */
  isWhole: boolean;
}

// The effort for each byte of a log may grow with the length.
const MAX_LENGTH = 32;
// Shorter ones are on many lines, and are not found faster than the pattern itself.
const MIN_LENGTH = 3;
const GROUPS = /[()|[\]]/;
const OTHER_SIGNS = '.^$*+?{';
const ESCAPED_SIGN = /[^A-Za-z0-9]/;

/** Returns the longest such text that is easy to see in a pattern, if there is one. */
export function requiredText(source: string, options: PatternOptions): RequiredText | undefined {
  const runs = options.isRegex ? literalRuns(source) : [source];
  const [longest = ''] = runs.flatMap((run) => run.split(/[^\x20-\x7e]/)).sort((a, b) => b.length - a.length);
  if (longest.length < MIN_LENGTH) return undefined;
  const text = longest.slice(0, MAX_LENGTH);
  return { bytes: new TextEncoder().encode(text), isWhole: text === source };
}

/** Returns the parts of an expression that each match contains as they are. */
function literalRuns(source: string): string[] {
  // What is in groups and sets may be optional, or one of several.
  if (GROUPS.test(source.replace(/\\./gs, ''))) return [];
  const runs: string[] = [];
  let run = '';
  const end = (): void => {
    runs.push(run);
    run = '';
  };
  const characters = [...source];
  for (let at = 0; at < characters.length; at += 1) {
    let character = characters[at] ?? '';
    let isLiteral = !OTHER_SIGNS.includes(character);
    if (character === '\\') {
      at += 1;
      character = characters[at] ?? '';
      isLiteral = ESCAPED_SIGN.test(character);
      // Its digits are no text.
      if (character === 'x') at += 2;
      if (character === 'u') at += 4;
    }
    if (!isLiteral) {
      end();
      // What it says how often is no text.
      if (character === '{') while (at < characters.length && characters[at] !== '}') at += 1;
      continue;
    }
    const quantifier = /^[*+?{]*/.exec(characters.slice(at + 1, at + 3).join(''))?.[0] ?? '';
    // With any other than one "+", it may be missing.
    if (quantifier === '' || quantifier === '+') run += character;
    // It may come more than once, so that what follows is not beside what is before.
    if (quantifier !== '') end();
  }
  end();
  return runs;
}
