import { signal } from '@preact/signals';
import { forgetToken } from './session';

/** The token of the session. */
export const token = signal<string | undefined>(undefined);
/** Why there is no session, as a sentence without its punctuation. */
export const ended = signal<string | undefined>(undefined);

export function endSession(): void {
  forgetToken();
  ended.value = 'the session has ended: the daemon was restarted, or the session was revoked';
  token.value = undefined;
}
