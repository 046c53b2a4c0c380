import { useEffect, useRef } from 'preact/hooks';
import { filterText } from '../containerStore';

/** The filter of a list, which "/" focuses. */
export function FilterInput({ label }: { label: string }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== '/' || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <input
      ref={input}
      type="search"
      aria-label={label}
      placeholder="Filter (press /)"
      value={filterText.value}
      onInput={(event) => (filterText.value = event.currentTarget.value)}
    />
  );
}
