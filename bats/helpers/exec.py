"""A client of the exec endpoint that shares no code with rdd. It sends standard
input to the process in pieces of 32 KiB. The process's standard output, and both
outputs without a subprotocol, go to standard output, and these lines to standard
error:

    subprotocol NAME       the selected subprotocol, or "none"
    stderr TEXT            what the process wrote to standard error, as a JSON string
    status JSON            the message on the error channel
    closed CODE REASON     how the connection ended ("none" if it broke)
    refused STATUS BODY    instead of all: a response other than an upgrade

Exits with 0 after a close frame, 1 after a broken connection, 2 if refused.
"""

import argparse
import asyncio
import json
import os
import ssl
import sys
import threading

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PIECE = 32 * 1024


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("url")
    options.add_argument("--token-file", required=True, help="file with the bearer token")
    options.add_argument("--ca", required=True, help="CA certificate to trust")
    options.add_argument(
        "--subprotocol", action="append", help="subprotocol to offer; may be repeated"
    )
    options.add_argument("--size", help="the terminal's size to send first, such as 80x24")
    options.add_argument(
        "--leave-after", type=int, help="break the connection after this number of output bytes"
    )
    return options.parse_args()


def read_input(loop, pieces) -> None:
    """Reads standard input on a thread of its own, which may wait for ever."""
    while True:
        piece = sys.stdin.buffer.read1(PIECE)
        asyncio.run_coroutine_threadsafe(pieces.put(piece), loop).result()
        if not piece:
            return


async def send_input(socket) -> None:
    """Sends standard input, then its end where the subprotocol has one."""
    channels = socket.subprotocol is not None
    pieces = asyncio.Queue(maxsize=1)
    reader = (asyncio.get_running_loop(), pieces)
    threading.Thread(target=read_input, args=reader, daemon=True).start()
    try:
        while piece := await pieces.get():
            await socket.send(b"\x00" + piece if channels else piece)
        if socket.subprotocol == "v5.channel.k8s.io":
            await socket.send(b"\xff\x00")
    except ConnectionClosed:
        pass  # reported by the receiver


def show(message: bytes) -> int:
    """Prints a message on channels. Returns the number of bytes of standard output."""
    channel, content = message[0], message[1:]
    match channel:
        case 1:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return len(content)
        case 2 if content:
            say("stderr", json.dumps(content.decode()))
        case 3 if content:
            say("status", content.decode())
        case 2 | 3:
            pass
        case _:
            sys.exit(f"received a message on channel {channel}")
    return 0


async def main() -> int:
    options = arguments()
    with open(options.token_file, encoding="ascii") as file:
        token = file.read().strip()
    opening = connect(
        options.url,
        ssl=ssl.create_default_context(cafile=options.ca),
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=options.subprotocol,
        max_size=None,
        ping_interval=None,
    )
    try:
        socket = await opening
    except InvalidStatus as refused:
        response = refused.response
        say("refused", response.status_code, response.body.decode().strip())
        return 2
    say("subprotocol", socket.subprotocol or "none")
    if options.size:
        width, height = options.size.split("x")
        size = json.dumps({"Width": int(width), "Height": int(height)})
        await socket.send(b"\x04" + size.encode())
    sending = asyncio.create_task(send_input(socket))
    received = 0
    try:
        while True:
            message = await socket.recv()
            if isinstance(message, str):
                sys.exit("received a text message instead of bytes")
            if socket.subprotocol:
                received += show(message)
            else:
                sys.stdout.buffer.write(message)
                sys.stdout.buffer.flush()
                received += len(message)
            if options.leave_after is not None and received >= options.leave_after:
                socket.transport.abort()
                return 1
    except ConnectionClosed as closed:
        sending.cancel()
        if closed.rcvd is None:
            say("closed none")
            return 1
        say("closed", closed.rcvd.code, closed.rcvd.reason)
        return 0


def run() -> None:
    code = asyncio.run(main())
    sys.stdout.flush()
    # Without waiting for the thread that reads standard input.
    os._exit(code)


if __name__ == "__main__":
    run()
