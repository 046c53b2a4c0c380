"""A WebSocket client that reads its socket as slowly as it is told, and nothing ahead:
what it has not read is in the buffers of the system. It answers pings and close frames
when it gets to them, gives credit for what it has received, and sends nothing else. The
content of a log goes to standard output, and these lines to standard error:

    pings N                how many pings it has answered
    answered MILLISECONDS  the time from its own close frame to that of the daemon
    cursor CURSOR          where the log continues, if it came as entries
    closed CODE REASON     how the stream ended ("none" if the connection broke)

Exits with 0 after a close frame, 1 after a broken connection.
"""

import argparse
import json
import socket
import ssl
import sys
import time

from entries import parse_binary, parse_json
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

PIECE = 1024  # bytes that are read at once


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("url")
    options.add_argument("--token-file", required=True)
    options.add_argument("--ca", required=True)
    options.add_argument("--subprotocol")
    options.add_argument("--mux", help="container to subscribe to, at the endpoint of many containers")
    options.add_argument("--credit", type=int, help="bytes that it may then be sent ahead")
    options.add_argument("--rate", type=int, help="bytes per second to read")
    options.add_argument("--seconds", type=float, help="how long to read at this rate")
    options.add_argument("--pause-at", type=int, help="bytes of the log after which it stops reading")
    options.add_argument("--pause", type=float, help="seconds for which it then does not read")
    options.add_argument("--withhold", type=float, help="seconds for which it gives no credit")
    options.add_argument("--close-at", type=int, help="bytes of the log after which it sends a close frame")
    options.add_argument("--code", type=int, help="code of that close frame; none if absent")
    return options.parse_args()


class Client:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.received = 0
        self.credit_due = 0
        self.cursor = None
        self.pings = 0
        self.close_sent_at = None
        uri = parse_uri(options.url)
        offered = [options.subprotocol] if options.subprotocol else None
        self.protocol = ClientProtocol(uri, subprotocols=offered, max_size=None)
        tls = ssl.create_default_context(cafile=options.ca)
        connection = socket.create_connection((uri.host, uri.port))
        self.connection = tls.wrap_socket(connection, server_hostname=uri.host)
        request = self.protocol.connect()
        with open(options.token_file, encoding="ascii") as file:
            request.headers["Authorization"] = "Bearer " + file.read().strip()
        self.protocol.send_request(request)

    def run(self) -> int:
        """Reads to the end of the connection."""
        begun = time.monotonic()
        options = self.options
        while self.read():
            if self.credit_due and time.monotonic() - begun >= (options.withhold or 0):
                self.send(op="credit", bytes=self.credit_due)
                self.credit_due = 0
            if options.rate and time.monotonic() - begun < options.seconds:
                time.sleep(PIECE / options.rate)
            if options.pause_at is not None and self.received >= options.pause_at:
                options.pause_at = None
                time.sleep(options.pause)
            if options.close_at is not None and self.received >= options.close_at:
                options.close_at = None
                self.protocol.send_close(options.code)
                self.close_sent_at = time.monotonic()
        say("pings", self.pings)
        if self.cursor:
            say("cursor", self.cursor)
        closed = self.protocol.close_rcvd
        if closed is None:
            say("closed none")
            return 1
        say("closed", closed.code, closed.reason)
        return 0

    def read(self) -> bool:
        """Sends what is due and reads a piece. Returns false at the end."""
        try:
            for data in self.protocol.data_to_send():
                if data:
                    self.connection.sendall(data)
            data = self.connection.recv(PIECE)
        except OSError as error:
            say("error", error)
            return False
        if not data:
            return False
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Frame):
                self.handle(event)
            elif self.protocol.handshake_exc:
                sys.exit(f"{self.protocol.handshake_exc}: {event.body}")
            elif self.options.mux:
                self.send(op="subscribe", container=self.options.mux, credit=self.options.credit)
        return True

    def send(self, **message: object) -> None:
        if self.protocol.state is State.OPEN:
            self.protocol.send_text(json.dumps(message | {"id": 1}).encode())

    def handle(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PING:
            self.pings += 1
        elif frame.opcode is Opcode.CLOSE and self.close_sent_at is not None:
            say("answered", int((time.monotonic() - self.close_sent_at) * 1000))
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            if not frame.fin:
                sys.exit("received a fragmented message")
            content = self.content(frame)
            self.received += len(content)
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()

    def content(self, frame: Frame) -> bytes:
        """Returns the bytes of the log in a message."""
        if self.options.subprotocol not in ("rdd.logs.v1+json", "rdd.logs-mux.v1"):
            return frame.data
        if frame.opcode is Opcode.BINARY:  # after the subscription and the source
            self.cursor, entries = parse_binary(frame.data[8:])
            self.credit_due += sum(max(1, len(data)) for _, data, _ in entries)
        else:
            message = json.loads(frame.data)
            if self.options.mux and message["type"] in ("end", "error"):
                say(frame.data.decode())
                self.protocol.send_close(1000)
            if message["type"] != "entries":
                return b""
            self.cursor, entries = parse_json(message)
        return b"".join(data + (b"" if partial else b"\n") for _, data, partial in entries)


sys.exit(Client(arguments()).run())
