"""A flood of slow clients in a process of its own, so that it does not delay the
clients that are measured:

    python -m flood.slow_flood HOST PORT AUTHORITY CLIENTS

Each client opens a new connection when the daemon has closed its own. Prints the number of
connections so far after each client has had one, and again after each line of input.
"""

import asyncio
import itertools
import sys
import time

from flood.slow_kinds import KINDS, SlowKind, Target, live
from flood.websocket import LOST

DRIP_SECONDS = 2.0
OPENINGS_PER_SECOND = 200  # after the first one of each client


class Flood:
    """The clients of a flood, and how many connections they have opened."""

    def __init__(self, target: Target):
        self.target, self.opened, self.next_turn = target, 0, time.monotonic()
        self.contexts = {protocol: target.tls_context(protocol) for protocol in ("http/1.1", "h2")}

    async def turn(self) -> None:
        """Waits for the next opening."""
        self.next_turn = max(self.next_turn, time.monotonic()) + 1 / OPENINGS_PER_SECOND
        await asyncio.sleep(self.next_turn - time.monotonic())

    async def client(self, kind: SlowKind) -> None:
        while True:
            self.opened += 1
            try:
                await live(self.target, kind, self.contexts, DRIP_SECONDS)
            except LOST:
                pass  # disconnected during the handshake
            await self.turn()


async def main() -> None:
    host, port, authority, clients = sys.argv[1:]
    flood, kinds = Flood(Target(host, int(port), authority)), itertools.cycle(KINDS)
    tasks = [asyncio.create_task(flood.client(next(kinds))) for _ in range(int(clients))]
    while flood.opened < len(tasks):
        await asyncio.sleep(0.05)
    print(flood.opened, flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(flood.opened, flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


asyncio.run(main())
