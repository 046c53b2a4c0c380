"""A WebSocket client that shares no code with rdd. It prints what a stream
holds to standard output, and to standard error one line each for

    subprotocol NAME       the one that the server chose, or "none"
    closed CODE REASON     how the stream ended ("none" where the connection broke)
    refused STATUS BODY    instead of both: the answer that was no upgrade

It exits with 0 after a close frame, 1 after a broken connection, 2 when refused.
"""

import argparse
import asyncio
import contextlib
import ssl
import sys

# Not the threading interface, which reads and writes one TLS connection from
# two threads at once: now and then a handshake hangs.
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("url")
    options.add_argument("--token-file", help="holds the bearer token")
    options.add_argument("--ca", required=True, help="the authority to trust")
    options.add_argument(
        "--subprotocol", action="append", help="one to offer; may be given several times"
    )
    options.add_argument(
        "--source",
        type=int,
        help="frames begin with a source byte: print those of this source, without it",
    )
    options.add_argument(
        "--streams", type=int, default=1, help="how many to hold open side by side"
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
                    ssl=ssl.create_default_context(cafile=options.ca),
                    additional_headers=headers,
                    subprotocols=options.subprotocol,
                    # It is the server's keep-alive that is on trial.
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
                sys.exit("a text message, where bytes are streamed")
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
