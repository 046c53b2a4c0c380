import '@xterm/xterm/css/xterm.css';
import './style.css';
import { render } from 'preact';
import { forgetToken, signIn, storedToken, takeCode } from './session';
import { ended, token } from './sessionState';
import { Page } from './views/Page';
import { SignedOut } from './views/SignedOut';

async function begin(): Promise<void> {
  const code = takeCode(location, history);
  if (code !== undefined) {
    try {
      token.value = await signIn(code);
    } catch (error) {
      forgetToken();
      ended.value = error instanceof TypeError ? 'the daemon cannot be reached' : String((error as Error).message);
    }
  } else {
    token.value = storedToken();
  }
}

// A link that is opened in a tab of the page changes the fragment alone.
addEventListener('hashchange', () => {
  if (location.hash.startsWith('#code=')) location.reload();
});

const root = document.getElementById('page');
if (root !== null) {
  await begin();
  render(<Root />, root);
}

function Root() {
  return token.value === undefined ? <SignedOut /> : <Page token={token.value} />;
}
