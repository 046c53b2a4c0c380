// The session: a code from the link is traded for a token, which stays in this tab.

import { errorMessage } from './api/daemonClient';

const STORAGE_KEY = 'rdd-session';

/** Returns the code in the fragment, and removes it from the address and the history. */
export function takeCode(location: Location, history: History): string | undefined {
  const match = /^#code=([A-Za-z0-9_-]+)$/.exec(location.hash);
  if (match === null) return undefined;
  history.replaceState(null, '', `${location.pathname}${location.search}#/`);
  return match[1];
}

/** Begins a session. @throws with a sentence for people. */
export async function signIn(code: string): Promise<string> {
  const response = await fetch('/ui/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ code }),
    credentials: 'omit',
    cache: 'no-store',
  });
  if (!response.ok) throw new Error(await errorMessage(response));
  const { token } = (await response.json()) as { token: string };
  sessionStorage.setItem(STORAGE_KEY, token);
  return token;
}

export function storedToken(): string | undefined {
  return sessionStorage.getItem(STORAGE_KEY) ?? undefined;
}

export function forgetToken(): void {
  sessionStorage.removeItem(STORAGE_KEY);
}
