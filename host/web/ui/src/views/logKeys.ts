// The keys of the log view, as in less and browsers.

import { useEffect, useRef } from 'preact/hooks';

export type LogKeys = Record<string, () => void>;

/** Handles keys as long as the view is drawn, other than in fields. */
export function useLogKeys(keys: LogKeys): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isField = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      const isDialog = event.target instanceof Element && event.target.closest('dialog') !== null;
      if (isField || isDialog || event.ctrlKey || event.metaKey || event.altKey) return;
      const action = latest.current[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}
