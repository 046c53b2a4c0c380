"""Relays TCP connections to a port of this machine. Prints its own port, then a line
for each connection. SIGUSR1 cuts all connections.

With --rate, it is a proxy that buffers: it accepts up to --buffer bytes from the server
at once, and forwards so many bytes per second to the client, for the first --seconds of
a connection.
"""

import argparse
import asyncio
import contextlib
import signal
import time

PIECE = 64 * 1024
TICKS = 10  # per second, in which a rate is divided


class Relay:
    def __init__(self, options):
        self.options = options
        self.writers = set()

    async def serve(self, reader, writer) -> None:
        print("connection", flush=True)
        try:
            server = await asyncio.open_connection("127.0.0.1", self.options.port)
        except OSError:  # the server is being restarted
            writer.close()
            return
        self.writers |= {writer, server[1]}
        down = self.forward_slowly if self.options.rate else self.forward
        await asyncio.gather(self.forward(reader, server[1]), down(server[0], writer))
        self.writers -= {writer, server[1]}

    async def forward(self, reader, writer) -> None:
        """Forwards until one side ends, then ends the other side."""
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def forward_slowly(self, reader, writer) -> None:
        """Does the same at the rate. What was accepted is always delivered."""
        slow_until = time.monotonic() + self.options.seconds
        buffer = bytearray()
        changed = asyncio.Condition()
        ended = False

        async def accept() -> None:
            nonlocal ended
            with contextlib.suppress(OSError):
                while True:
                    async with changed:
                        await changed.wait_for(lambda: len(buffer) < self.options.buffer)
                    data = await reader.read(self.options.buffer - len(buffer))
                    if not data:
                        break
                    async with changed:
                        buffer.extend(data)
                        changed.notify_all()
            async with changed:
                ended = True
                changed.notify_all()

        accepting = asyncio.create_task(accept())
        with contextlib.suppress(OSError):
            while True:
                async with changed:
                    await changed.wait_for(lambda: buffer or ended)
                    is_slow = time.monotonic() < slow_until
                    piece = bytes(buffer[: self.options.rate // TICKS if is_slow else PIECE])
                    del buffer[: len(piece)]
                    changed.notify_all()
                if not piece:
                    break
                writer.write(piece)
                await writer.drain()
                if is_slow:
                    await asyncio.sleep(1 / TICKS)  # the rate
        accepting.cancel()
        writer.close()

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("port", type=int, help="port to relay to")
    options.add_argument("--rate", type=int, help="bytes per second to the client")
    options.add_argument("--seconds", type=float, default=float("inf"), help="how long it has this rate")
    options.add_argument("--buffer", type=int, default=1 << 20, help="bytes from the server that wait")
    relay = Relay(options.parse_args())
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, relay.cut)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
