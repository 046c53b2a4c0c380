import { useEffect, useMemo } from 'preact/hooks';
import { daemonClient, type DaemonClient } from '../api/daemonClient';
import { pollApp } from '../appStore';
import { containerStore } from '../containerStore';
import { imageStore, volumeStore } from '../imageStore';
import { watchStatus } from '../objectStore';
import { route } from '../currentRoute';
import { listNames, type PageRoute } from '../route';
import { endSession } from '../sessionState';
import { ContainerList } from './ContainerList';
import { EngineView } from './EngineView';
import { ImageList } from './ImageList';
import { LogView } from './LogView';
import { ShellView } from './ShellView';
import { VolumeList } from './VolumeList';

export function Page(props: { token: string }) {
  const client = useMemo(() => daemonClient(props.token, endSession), [props.token]);
  useEffect(() => pollApp(client), [client]);
  const current = route.value;
  const kind = current.view === 'images' || current.view === 'volumes' ? current.view : 'containers';
  useEffect(() => {
    const stores = { containers: containerStore, images: imageStore, volumes: volumeStore };
    return stores[kind].watch(client);
  }, [client, kind]);
  return (
    <>
      <header class="bar">
        <nav aria-label="Pages">
          <a class="brand" href="#/">rdd</a>
          {listNames.map((name) => (
            <a key={name} href={`#/${name}`} aria-current={current.view === name ? 'page' : undefined}>{name}</a>
          ))}
        </nav>
        <ConnectionState />
      </header>
      <View current={current} client={client} token={props.token} />
    </>
  );
}

function View({ current, client, token }: { current: PageRoute; client: DaemonClient; token: string }) {
  switch (current.view) {
    case 'logs': {
      const { targets, range, place } = current;
      return (
        <LogView
          key={JSON.stringify([targets, range, place])}
          targets={targets}
          range={range}
          place={place}
          token={token}
        />
      );
    }
    case 'shell':
      return <ShellView key={current.container} container={current.container} client={client} token={token} />;
    case 'images':
      return <ImageList client={client} />;
    case 'volumes':
      return <VolumeList client={client} />;
    case 'engine':
      return <EngineView client={client} />;
    default:
      return <ContainerList client={client} />;
  }
}

/** A quiet word about the connection, only while it is not as usual. */
function ConnectionState() {
  const { status } = watchStatus.value;
  const text = status === 'reconnecting' ? 'reconnecting…' : status === 'gone' ? 'no connection' : '';
  return <span class="connection" role="status">{text}</span>;
}
