// Requests to the daemon, with the token of the session.

/** A response that is no success, with the sentence of the daemon. */
export class RequestError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface DaemonClient {
  /** @throws {RequestError} for a status that is no success; TypeError without one. */
  request(path: string, init?: RequestInit): Promise<Response>;
}

/** Returns a client. `onSignedOut` is called when the daemon no longer accepts the token. */
export function daemonClient(token: string, onSignedOut: () => void): DaemonClient {
  return {
    async request(path, init = {}) {
      const headers = new Headers(init.headers);
      headers.set('authorization', `Bearer ${token}`);
      headers.set('accept', 'application/json');
      const response = await fetch(path, { ...init, headers, cache: 'no-store', credentials: 'omit' });
      if (response.ok) return response;
      if (response.status === 401) onSignedOut();
      throw new RequestError(response.status, await errorMessage(response));
    },
  };
}

export async function errorMessage(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const status: unknown = JSON.parse(text);
    if (typeof status === 'object' && status !== null && 'message' in status) {
      return String(status.message);
    }
  } catch {
    // It is the sentence itself.
  }
  return text.trim() || `the daemon answered with status ${response.status}`;
}

/** Returns the subprotocols of a WebSocket that carries a token: URLs have none. */
export function socketProtocols(token: string, ...protocols: string[]): string[] {
  const encoded = btoa(token).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  return [...protocols, `base64url.bearer.authorization.k8s.io.${encoded}`];
}

/** Returns the URL of a WebSocket of an origin. */
export function socketUrl(origin: string, path: string): string {
  return `${origin.replace(/^http/, 'ws')}${path}`;
}
