import { signal } from '@preact/signals';
import { parseRoute, type PageRoute } from './route';

/** The place in the page, as the address has it. */
export const route = signal<PageRoute>(parseRoute(globalThis.location?.hash ?? ''));

globalThis.addEventListener?.('hashchange', () => {
  route.value = parseRoute(location.hash);
});
