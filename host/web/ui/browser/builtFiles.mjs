// A relay to the daemon that has other files of the page than the program, for work
// on the page without building the program each time.

import { existsSync, readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';

const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };

/** Returns a server that answers with the files in `dist`, and passes on everything else. */
export function createFileRelay(port, dist) {
  const server = createServer(async (incoming, outgoing) => {
    const name = /^\/ui\/([\w.]*)$/.exec(incoming.url.split('?')[0])?.[1];
    const path = name === undefined ? '' : join(dist, name === '' ? 'index.html' : name);
    if (path !== '' && incoming.method === 'GET' && existsSync(path)) {
      // The policy and the other headers are the daemon's.
      const { headers } = await fetch(`http://127.0.0.1:${port}/ui/icon.svg`);
      for (const [header, value] of headers) {
        if (!['content-length', 'content-encoding', 'etag', 'transfer-encoding', 'connection'].includes(header)) {
          outgoing.setHeader(header, value);
        }
      }
      outgoing.setHeader('content-type', TYPES[path.split('.').pop()]);
      outgoing.end(readFileSync(path));
      return;
    }
    const { method, url, headers } = incoming;
    const upstream = request({ port, host: '127.0.0.1', method, path: url, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
      answer.on('close', () => outgoing.destroy());
    });
    upstream.on('error', () => incoming.socket.destroy());
    outgoing.on('close', () => upstream.destroy());
    incoming.pipe(upstream);
  });
  server.on('upgrade', ({ method, url, rawHeaders }, socket, head) => {
    const upstream = connect(port, '127.0.0.1');
    const lines = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${rawHeaders[at + 1]}`] : []));
    upstream.write(`${method} ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    upstream.write(head);
    socket.pipe(upstream).pipe(socket);
    for (const end of [socket, upstream]) {
      end.on('error', () => undefined).on('close', () => {
        socket.destroy();
        upstream.destroy();
      });
    }
  });
  return server;
}
