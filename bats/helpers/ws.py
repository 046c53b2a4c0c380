"""A WebSocket client that shares no code with rdd: prints the binary messages
of a stream, and as the last line of standard error how the stream ended."""

import argparse
import ssl
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("url")
    options.add_argument("--token-file", required=True)
    options.add_argument("--ca", required=True)
    options = options.parse_args()

    tls = ssl.create_default_context(cafile=options.ca)
    with open(options.token_file, encoding="ascii") as file:
        headers = {"Authorization": "Bearer " + file.read().strip()}
    with connect(options.url, ssl=tls, additional_headers=headers) as socket:
        try:
            while True:
                message = socket.recv()
                if isinstance(message, str):
                    sys.exit("a text message, where bytes are streamed")
                sys.stdout.buffer.write(message)
                sys.stdout.buffer.flush()
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else "none"
            print(f"closed {code}", file=sys.stderr)


main()
