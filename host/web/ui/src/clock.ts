import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

/** Returns the time, twice a minute: ages are in minutes soon. */
export function useClock(): number {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return now.value;
}
