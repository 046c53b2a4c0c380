import type { DaemonClient } from '../api/daemonClient';
import { useClock } from '../clock';
import { formatAge, formatBytes } from '../format';
import { imageName, shortId, shownImages } from '../imageStore';
import { ObjectTable } from './ObjectTable';

export function ImageList({ client }: { client: DaemonClient }) {
  const now = useClock();
  return (
    <ObjectTable
      client={client}
      plural="images"
      objects={shownImages.value}
      name={imageName}
      columns={[
        { title: 'ID', cell: ({ status }) => <code>{shortId(status?.id ?? '')}</code> },
        { title: 'Platform', cell: ({ status }) => [status?.os, status?.architecture].filter(Boolean).join('/') },
        { title: 'Size', cell: ({ status }) => formatBytes(status?.size ?? 0) },
        { title: 'Built', cell: ({ status }) => formatAge(status?.createdAt, now) },
      ]}
      consequence="The engine removes this tag, and the image itself with its last tag."
    />
  );
}
