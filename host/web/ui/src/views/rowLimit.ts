import { useEffect, useReducer, useRef } from 'preact/hooks';

// A row of a table is not lower than this, in pixels.
const MIN_ROW_HEIGHT = 32;
// The browser lays out the whole table at each step, so many small steps take longer
// than a few, and large ones let clicks wait.
const STEP = 100;

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
    // In the frame after the next one: what was drawn before is on the screen then.
    let frame = requestAnimationFrame(() => (frame = requestAnimationFrame(() => draw(undefined))));
    return () => cancelAnimationFrame(frame);
  });
  return limit;
}
