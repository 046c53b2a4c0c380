"""The logs of many containers at once over one socket: every line arrives, in order,
and none twice.
"""

import asyncio
import time

from flood.context import PATIENCE, FloodContext, mirrored
from flood.fake_engine import FakeEngine
from flood.mux import MuxClient
from flood.report import percentile

CONTAINERS = 200
RATE = 100  # lines per second of each container
LATE = 0.5  # part of the run after which another viewer joins, who gets everything


class LineReader:
    """Reads the numbered lines of all containers on one connection."""

    def __init__(self, client: MuxClient, lines: int):
        self.client, self.lines = client, lines
        self.next = {}
        self.latencies, self.faults = [], []

    @property
    def received(self) -> int:
        return sum(self.next.values())

    async def read(self, containers: int) -> None:
        """Reads until all lines of all containers have arrived."""
        left = containers * self.lines
        while left > 0 and not self.client.errors:
            source, entries = await self.client.entries()
            now = time.monotonic_ns()
            for entry in entries:
                number, written = entry.split()
                expected = self.next.get(source, 0)
                if int(number) != expected:
                    self.faults.append(f"line {expected} of source {source} is {entry!r}")
                self.next[source] = expected + 1
                self.latencies.append((now - int(written)) / 1e9)
                left -= 1


async def run(context: FloodContext) -> None:
    daemon, report = context.daemon, context.report
    containers = context.pick(50, CONTAINERS)
    seconds = context.pick(5, 30)
    lines = RATE * seconds
    async with FakeEngine(context, containers) as engine:
        await daemon.stop()
        daemon.engine = engine.socket
        await daemon.start()
        await mirrored(context, engine.containers)
        early, late = [LineReader(await MuxClient.open(daemon), lines) for _ in range(2)]
        await early.client.subscribe(1, selector="flood=yes", tail=0)
        await asyncio.wait_for(early.client.wait_for_sources(containers), PATIENCE)
        begun, cpu = time.monotonic(), daemon.cpu_seconds()
        writing = asyncio.create_task(engine.write(lines, 1 / RATE))
        reading = [asyncio.create_task(early.read(containers))]
        await asyncio.sleep(seconds * LATE)
        # Then the clients of both compete for the processor.
        latencies = [value * 1000 for value in early.latencies]
        await late.client.subscribe(1, selector="flood=yes")
        reading.append(asyncio.create_task(late.read(containers)))
        await writing
        took, cpu = time.monotonic() - begun, daemon.cpu_seconds() - cpu
        await asyncio.wait(reading, timeout=PATIENCE)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        await daemon.stop()

    report.add("containers; lines per second of all", f"{containers}; {containers * lines / took:.0f}")
    for name, reader in (("from the start", early), ("who joins late", late)):
        report.equal(f"viewer {name}: lines received", reader.received, containers * lines)
        report.equal(f"viewer {name}: lines out of order, lost, or repeated", len(reader.faults), 0)
        report.equal(f"viewer {name}: errors, gaps, and ends", len(reader.client.errors), 0)
        for fault in [*reader.faults[:3], *reader.client.errors[:3]]:
            report.add(f"  {fault}", "", "", False)
    report.add(
        "latency before the other one joins, p50 p99",
        f"{percentile(latencies, 0.5):.1f} {percentile(latencies, 0.99):.1f} ms",
    )
    report.add("CPU of the daemon, of one core", f"{100 * cpu / took:.0f} %")
