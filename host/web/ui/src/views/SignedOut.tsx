import { capitalize } from '../format';
import { ended } from '../sessionState';

export function SignedOut() {
  return (
    <main class="notice-page">
      <h1>rdd</h1>
      <p class="notice-text">{ended.value === undefined ? 'You are not signed in.' : `${capitalize(ended.value)}.`}</p>
      <p>In a terminal, run</p>
      <pre tabIndex={0}>rdd dashboard</pre>
      <p>
        It opens this page with a link that works once. <code>rdd dashboard --print</code> prints the link.
      </p>
    </main>
  );
}
