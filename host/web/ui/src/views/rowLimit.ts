import { useEffect, useReducer, useRef } from 'preact/hooks';

// A row of a table is not lower than this, in pixels.
const MIN_ROW_HEIGHT = 32;
// Larger steps let clicks wait, and with smaller ones all rows take longer.
const STEP = 50;

/**
 * Returns how many of `total` rows are drawn now: at first as many as fit the window,
 * then a step more with each frame, until there are all. So a long list is on the
 * screen at once, and the page responds while the rest of it is drawn.
 */
export function useRowLimit(total: number): number {
  const drawn = useRef(0);
  const [, draw] = useReducer((count: number) => count + 1, 0);
  const limit = Math.min(total, Math.max(Math.ceil(innerHeight / MIN_ROW_HEIGHT), drawn.current + STEP));
  useEffect(() => {
    drawn.current = limit;
    if (limit === total) return undefined;
    // What was drawn before is on the screen when effects run.
    const frame = requestAnimationFrame(() => draw(undefined));
    return () => cancelAnimationFrame(frame);
  });
  return limit;
}
