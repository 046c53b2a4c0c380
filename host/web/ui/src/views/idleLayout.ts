import { useEffect, useRef } from 'preact/hooks';

// Rows that are laid out at once, so that clicks do not wait.
const STEP = 25;

/**
 * Lays out the rows of a long table that nobody has scrolled to, while the browser has
 * nothing else to do: readers of the screen get only rows that are laid out. `isWhole`
 * says that all rows are there.
 */
export function useIdleLayout(isWhole: boolean) {
  const table = useRef<HTMLTableElement>(null);
  useEffect(() => {
    const rows = isWhole ? table.current?.querySelectorAll('tbody tr:not(.laid-out)') : undefined;
    if (rows === undefined || rows.length === 0) return undefined;
    let next = 0;
    let cancel = whenIdle(step);
    function step(): void {
      for (const end = next + STEP; next < end; next += 1) rows?.item(next)?.classList.add('laid-out');
      if (rows !== undefined && next < rows.length) cancel = whenIdle(step);
    }
    return () => cancel();
  });
  return table;
}

/** Calls a function when the browser is idle. Returns what cancels it. */
function whenIdle(call: () => void): () => void {
  if (typeof requestIdleCallback === 'function') {
    const id = requestIdleCallback(call);
    return () => cancelIdleCallback(id);
  }
  // Safari tells nobody when it is idle.
  const id = setTimeout(call, 50);
  return () => clearTimeout(id);
}
