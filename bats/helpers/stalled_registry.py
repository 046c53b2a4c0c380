#!/usr/bin/env python3
"""A registry in front of another one that never finishes the download of a content.

stalled_registry.py UPSTREAM: prints its address, then serves until it is killed.
"""
import http.server
import sys
import threading
import urllib.request

UPSTREAM = sys.argv[1]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        request = urllib.request.Request(f"http://{UPSTREAM}{self.path}", headers={"Accept": self.headers.get("Accept", "*/*")})
        with urllib.request.urlopen(request) as response:
            body = response.read()
            media_type = response.headers["Content-Type"]
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if "/blobs/" not in self.path:
            self.wfile.write(body)
            return
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        threading.Event().wait()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
