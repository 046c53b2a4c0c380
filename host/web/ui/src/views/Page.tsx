import { useEffect, useMemo } from 'preact/hooks';
import { daemonClient } from '../api/daemonClient';
import { watchContainers, watchStatus } from '../containerStore';
import { route } from '../route';
import { endSession, ended } from '../sessionState';
import { ContainerList } from './ContainerList';
import { LogView } from './LogView';

export function Page(props: { token: string }) {
  const client = useMemo(() => daemonClient(props.token, endSession), [props.token]);
  useEffect(() => watchContainers(client), [client]);
  const current = route.value;
  return (
    <>
      <header class="bar">
        <a class="brand" href="#/">rdd</a>
        <ConnectionState />
      </header>
      {current.view === 'logs' ? (
        <LogView key={JSON.stringify(current.targets)} targets={current.targets} token={props.token} />
      ) : (
        <ContainerList client={client} />
      )}
    </>
  );
}

/** A quiet word about the connection, only while it is not as usual. */
function ConnectionState() {
  const { status } = watchStatus.value;
  const text = status === 'reconnecting' ? 'reconnecting…' : status === 'gone' ? 'no connection' : '';
  return <span class="connection" role="status">{text}</span>;
}

export function SignedOut() {
  return (
    <main class="notice-page">
      <h1>rdd</h1>
      <p class="notice-text">{ended.value === undefined ? 'You are not signed in.' : `${capitalize(ended.value)}.`}</p>
      <p>In a terminal, run</p>
      <pre>rdd dashboard</pre>
      <p>
        It opens this page with a link that works once. <code>rdd dashboard --print</code> prints the link.
      </p>
    </main>
  );
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
