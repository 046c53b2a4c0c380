import type { DaemonClient } from '../api/daemonClient';
import { useClock } from '../clock';
import { formatAge } from '../format';
import { shownVolumes, volumeName } from '../imageStore';
import { ObjectTable } from './ObjectTable';

export function VolumeList({ client }: { client: DaemonClient }) {
  const now = useClock();
  return (
    <ObjectTable
      client={client}
      plural="volumes"
      objects={shownVolumes.value}
      name={volumeName}
      columns={[
        { title: 'Driver', cell: ({ status }) => status?.driver ?? '' },
        { title: 'Path', className: 'path', cell: ({ status }) => status?.mountpoint ?? '' },
        { title: 'Age', cell: ({ status }) => formatAge(status?.createdAt, now) },
      ]}
      consequence="The engine removes the volume with all its files, unless a container uses it."
    />
  );
}
