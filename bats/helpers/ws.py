"""A WebSocket client that shares no code with rdd. It writes the
content of a stream to standard output, and these lines to standard error:

    subprotocol NAME       the selected subprotocol, or "none"
    closed CODE REASON     how the stream ended ("none" if the connection broke)
    refused STATUS BODY    instead of both: a response other than an upgrade

Exits with 0 after a close frame, 1 after a broken connection, 2 if refused.
"""

import argparse
import asyncio
import contextlib
import ssl
import sys

# Not the threading interface, which reads and writes one TLS connection from
# two threads at once, so that handshakes hang occasionally.
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("url")
    options.add_argument("--token-file", help="file with the bearer token")
    options.add_argument("--ca", help="CA certificate to trust; required for wss")
    options.add_argument(
        "--subprotocol", action="append", help="subprotocol to offer; may be repeated"
    )
    options.add_argument(
        "--source",
        type=int,
        help="frames begin with a source byte: print those of this source, without the byte",
    )
    options.add_argument(
        "--streams", type=int, default=1, help="number of concurrent streams to hold open"
    )
    return options.parse_args()


async def main() -> int:
    options = arguments()
    headers = {}
    if options.token_file:
        with open(options.token_file, encoding="ascii") as file:
            headers["Authorization"] = "Bearer " + file.read().strip()
    async with contextlib.AsyncExitStack() as held:
        try:
            for _ in range(options.streams):
                opening = connect(
                    options.url,
                    ssl=ssl.create_default_context(cafile=options.ca) if options.ca else None,
                    additional_headers=headers,
                    subprotocols=options.subprotocol,
                    # Only the server's keep-alive is tested.
                    ping_interval=None,
                )
                socket = await held.enter_async_context(opening)
        except InvalidStatus as refused:
            response = refused.response
            say("refused", response.status_code, response.body.decode().strip())
            return 2
        say("subprotocol", socket.subprotocol or "none")
        return await follow(socket, options.source)


async def follow(socket, source) -> int:
    try:
        while True:
            message = await socket.recv()
            if isinstance(message, str):
                sys.exit("received a text message instead of bytes")
            if source is not None:
                message = message[1:] if message[0] == source else b""
            sys.stdout.buffer.write(message)
            sys.stdout.buffer.flush()
    except ConnectionClosed as closed:
        if closed.rcvd is None:
            say("closed none")
            return 1
        say("closed", closed.rcvd.code, closed.rcvd.reason)
        return 0


sys.exit(asyncio.run(main()))
