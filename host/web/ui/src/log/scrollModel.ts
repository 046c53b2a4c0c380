// The relation between a scroll position and lines of unknown height. The fraction of
// the way that was scrolled selects a line, and the place in the viewport at which
// that line is: at the top the first line is at the top, at the bottom the last one
// ends at the bottom, whatever the heights are. Nothing has to be measured ahead.

export const ROW_HEIGHT = 20;
// Browsers limit the height of an element: Firefox at about 17,800,000 pixels.
const MAX_HEIGHT = 15_000_000;
const OVERSCAN = 10;

export interface ScrollPlace {
  /** The line that is placed, with the fraction of it above the place. */
  line: number;
  /** Where it is in the viewport, in pixels from the top. */
  y: number;
}

/** Returns the height of the content, so that a line of one row scrolls by its height. */
export function contentHeight(total: number, viewport: number): number {
  return Math.max(viewport, Math.min(MAX_HEIGHT, total * ROW_HEIGHT));
}

export function placeAt(scrollTop: number, total: number, viewport: number): ScrollPlace {
  const way = contentHeight(total, viewport) - viewport;
  const fraction = way <= 0 ? 0 : Math.min(1, Math.max(0, scrollTop / way));
  return { line: fraction * total, y: fraction * viewport };
}

/** Returns the scroll position at which a line is at the top, if all have one row. */
export function scrollTopOf(line: number, total: number, viewport: number): number {
  const way = contentHeight(total, viewport) - viewport;
  const lines = total - viewport / ROW_HEIGHT;
  return lines <= 0 ? 0 : Math.min(way, Math.max(0, (line / lines) * way));
}

/** Returns the lines that may be visible around a place. */
export function windowAt(place: ScrollPlace, viewport: number): { first: number; count: number } {
  const above = Math.ceil(place.y / ROW_HEIGHT) + OVERSCAN;
  const below = Math.ceil((viewport - place.y) / ROW_HEIGHT) + OVERSCAN;
  const first = Math.max(0, Math.floor(place.line) - above);
  return { first, count: Math.floor(place.line) + below - first };
}

/** Returns how many of the last lines may be visible at the end. */
export function lastCount(viewport: number): number {
  return Math.ceil(viewport / ROW_HEIGHT) + OVERSCAN;
}
