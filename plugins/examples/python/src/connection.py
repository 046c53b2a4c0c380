"""Connections to the engine: one request and its response on each."""

import asyncio
import re

import componentize_py_runtime as runtime
import wit_world
from componentize_py_async_support import await_result, spawn
from componentize_py_types import Err
from wit_world.imports import host, transport, types

READ_BYTES = 64 * 1024
# The error of another engine than the one that this backend is for.
NOT_TOY = "the engine's response does not begin with ok or error, as a toy engine's does; check the engine's URL"
MAX_LINE_BYTES = 1024 * 1024


def failure(code, message):
    """Returns an error of the contract, to be raised."""
    return Err(types.Error(code, message))


def in_background(coroutine):
    """Starts a coroutine and returns a future for its result.

    componentize-py cannot cancel a coroutine that waits for the host. Whoever
    no longer needs the result stops waiting for it, and the coroutine goes on
    until the host completes what it waits for. `spawn` keeps the call open for
    that long, also after its result was returned.
    """
    result = asyncio.get_running_loop().create_future()

    async def run():
        result.set_result(await coroutine)

    spawn(run())
    return result


async def resolved(stop):
    """Waits until the host resolves `stop`.

    This should be `stop.read()`, but componentize-py 0.25 fails to convert the
    value of a future that has none. So it gets no promise of a value to convert.
    """
    pending = runtime.future_read(stop.type_, stop.handle)
    try:
        await await_result(Err((pending.value[0], None)))
    except TypeError:
        pass


class Connection:
    """A connection on which one request was sent.

    Use it in a `with` statement: leaving that closes the connection.
    """

    def __init__(self, stop):
        self.stop = stop  # resolves when the host no longer needs the call
        self.buffer = b""
        self.position = 0
        self.is_reading = self.is_closed = False

    @classmethod
    async def open(cls, stop, *request):
        """Sends a request of one or more lines and reads the `ok` of the response."""
        connection = cls(stop and in_background(resolved(stop)))
        connection.sender, receiver = wit_world.byte_stream()
        connection.receiver, connection.end = await transport.connect(receiver)
        lines = "".join("\t".join(map(escape, line)) + "\n" for line in request)
        try:
            await connection.sender.write_all(lines.encode() + b"\n")
            if (await connection.line())[0] != "ok":
                raise failure(types.ErrorCode_Internal(), NOT_TOY)
        except Err:
            connection.close()
            raise
        return connection

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the connection. A read that is pending ends when the engine sends
        something or closes its side, or when the host has stopped the call."""
        self.is_closed = True
        self.sender.__exit__(None, None, None)
        self.end.__exit__(None, None, None)
        if not self.is_reading:
            self.receiver.__exit__(None, None, None)

    async def receive(self):
        """Reads from the connection, which may have been closed meanwhile."""
        self.is_reading = True
        await host.sleep(0)  # lets the host do other work, even if there is always something to read
        received = await self.receiver.read(READ_BYTES)
        self.is_reading = False
        if self.is_closed:
            self.receiver.__exit__(None, None, None)
        return received

    def has_line(self):
        """Returns whether a whole line was received already."""
        return self.buffer.find(b"\n", self.position) >= 0

    async def line(self):
        """Returns the fields of the next line; raises the error that it carries."""
        while (end := self.buffer.find(b"\n", self.position)) < 0:
            if len(self.buffer) - self.position > MAX_LINE_BYTES:
                raise failure(types.ErrorCode_Internal(), "the engine sent a line of more than 1 MiB")
            await self.read()
        fields = self.buffer[self.position : end].decode(errors="replace").split("\t")
        self.position = end + 1
        fields = [unescape(field) for field in fields]
        if fields[0] == "error":
            raise failure(CODES.get(fields[1], types.ErrorCode_Internal)(), fields[2])
        return fields

    async def block(self):
        """Returns the lines up to the next empty one."""
        lines = []
        while (line := await self.line()) != [""]:
            lines.append(line)
        return lines

    async def payload(self, length):
        """Returns the next bytes as they are."""
        while len(self.buffer) - self.position < length:
            await self.read()
        self.position += length
        return self.buffer[self.position - length : self.position]

    async def read(self):
        """Receives more bytes, unless the host stops the call meanwhile."""
        reading = in_background(self.receive())
        waiting = {reading, self.stop} if self.stop else {reading}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if self.stop and self.stop.done():
            raise failure(types.ErrorCode_Cancelled(), "the host stopped the call")
        received = reading.result()
        if not received:
            end = await self.end.read()
            raise end if isinstance(end, Err) else failure(
                types.ErrorCode_Unavailable(), "the engine closed the connection"
            )
        self.buffer = self.buffer[self.position :] + received
        self.position = 0


ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
PLAIN = {"t": "\t", "n": "\n", "r": "\r"}


def escape(field):
    return field.translate(ESCAPES)


def unescape(field):
    return re.sub(r"\\(.)", lambda pair: PLAIN.get(pair[1], pair[1]), field)


CODES = {
    "not-found": types.ErrorCode_NotFound,
    "invalid-argument": types.ErrorCode_InvalidArgument,
    "conflict": types.ErrorCode_Conflict,
    "replaced": types.ErrorCode_Replaced,
    "permission-denied": types.ErrorCode_PermissionDenied,
    "unavailable": types.ErrorCode_Unavailable,
    "unsupported": types.ErrorCode_Unsupported,
    "timeout": types.ErrorCode_Timeout,
}
