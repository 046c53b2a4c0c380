"""Slow clients without credentials: each is disconnected within the time limits of
docs/passthrough.md, and however many there are, clients with credentials are served.
"""

import asyncio
import math
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from flood.context import PATIENCE, FloodContext, mirrored
from flood.report import percentile
from flood.slow_kinds import BODY, KINDS, PATH, SlowKind, Target, live, text
from flood.websocket import BINARY, LOST, connect
from testbed.daemon import LOGS, Daemon
from testbed.http import close

BODY_LIMIT, CLOSE_GRACE = 60.0, 0.5
SLACK = 5.0  # of a busy machine, in place of a few milliseconds
EARLY = 2.0  # a client that is disconnected this much earlier met another limit

OF_EACH_KIND = 10  # together fewer than the daemon's limit of connections without credentials
STAGGER_SECONDS = 0.3  # so that handshakes do not delay each other
DRIP_SECONDS = 0.2  # between two bytes
# Each client of a flood opens this many connections at least: the daemon closes them.
REOPENINGS = 1.2
PROMPT_SECONDS = 5.0  # for kubectl, a program of 50 MB on a busy machine
PROMPT_LINE_SECONDS = 2.0
ATTEMPTS = 3  # of a busy machine, which may hold anything back for a few seconds once
LINE_SECONDS = 0.1
ANONYMOUS = 256  # the daemon's limit of connections without credentials
HEAD_BYTES = 380_000  # less than HTTP libraries take without a limit of their own
MEMORY_KIB = 64 * 1024  # of all of them, with what TLS takes


def with_credentials(daemon: Daemon) -> SlowKind:
    """A client whose request is accepted, and whose body does not end."""
    head = f"POST {PATH} HTTP/1.1\r\n{daemon.credentials}\r\nContent-Type: application/json\r\n{BODY}"
    return SlowKind("HTTP/1.1 body with credentials", "http/1.1", text(head), b" ", BODY_LIMIT)


async def measure_limits(context: FloodContext, target: Target) -> None:
    """Checks how long each kind is kept, below the limit of connections."""
    daemon, report = context.daemon, context.report
    contexts = {protocol: target.tls_context(protocol) for protocol in ("http/1.1", "h2")}
    before = daemon.memory_kib()

    async def one(kind: SlowKind, number: int) -> float:
        await asyncio.sleep(STAGGER_SECONDS * number)
        return await live(target, kind, contexts, DRIP_SECONDS)

    async def lives(kind: SlowKind) -> list:
        runs = (one(kind, number) for number in range(OF_EACH_KIND))
        return await asyncio.wait_for(asyncio.gather(*runs), 2 * PATIENCE)

    kinds = KINDS if context.is_short else [*KINDS, with_credentials(daemon)]
    found = await asyncio.gather(*(lives(kind) for kind in kinds), return_exceptions=True)
    for kind, seconds in zip(kinds, found):
        if isinstance(seconds, BaseException):
            report.add(f"{kind.name}: disconnected after", f"{type(seconds).__name__}", f"{kind.limit:g} s", False)
            continue
        latest = kind.limit + CLOSE_GRACE + SLACK
        earliest = 0 if kind.is_early else kind.limit - EARLY
        kept = earliest <= min(seconds) and max(seconds) <= latest
        report.add(
            f"{kind.name}: disconnected after", f"{min(seconds):.1f}–{max(seconds):.1f} s", f"{kind.limit:g} s", kept
        )
    report.at_most("memory grown by slow clients", daemon.memory_kib() - before, MEMORY_KIB, " KiB")


async def hold_large_heads(context: FloodContext, target: Target) -> None:
    """Checks the memory for heads of requests that do not end."""
    daemon, tls = context.daemon, target.tls_context("http/1.1")
    before = daemon.memory_kib()
    clients = [asyncio.create_task(send_large_head(target, tls)) for _ in range(ANONYMOUS)]
    peak = before
    while not all(client.done() for client in clients):
        peak = max(peak, daemon.memory_kib())
        await asyncio.sleep(0.1)
    await asyncio.gather(*clients)
    context.report.at_most(f"memory grown by {ANONYMOUS} heads without an end", peak - before, MEMORY_KIB, " KiB")


async def send_large_head(target: Target, tls) -> None:
    """Sends as much of a head as the daemon takes."""
    try:
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=tls)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * HEAD_BYTES)
        await asyncio.wait_for(reader.read(), PATIENCE)
        writer.transport.abort()
    except LOST:
        pass  # disconnected


class FloodProcess:
    """A flood that runs within `async with`."""

    def __init__(self, target: Target, clients: int):
        self.arguments = [
            sys.executable,
            "-B",
            "-m",
            "flood.slow_flood",
            target.host,
            str(target.port),
            target.authority,
            str(clients),
        ]

    async def __aenter__(self) -> "FloodProcess":
        pipe, scripts = asyncio.subprocess.PIPE, Path(__file__).parents[1]
        self.process = await asyncio.create_subprocess_exec(*self.arguments, stdin=pipe, stdout=pipe, cwd=scripts)
        await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)
        return self

    async def __aexit__(self, *_) -> None:
        self.process.kill()
        await self.process.wait()

    async def opened(self) -> int:
        """Returns the number of connections so far."""
        self.process.stdin.write(b"\n")
        return int(await asyncio.wait_for(self.process.stdout.readline(), PATIENCE))


class Viewer:
    """Follows a log that has a line every LINE_SECONDS; records the gaps."""

    def __init__(self):
        self.gaps, self.last = [], time.monotonic()

    async def follow(self, daemon: Daemon, container: str) -> None:
        socket = await connect(daemon, f"{LOGS}/{container}?tail=0")
        self.last = time.monotonic()
        try:
            while True:
                if (await socket.message()).opcode == BINARY:
                    now = time.monotonic()
                    self.gaps.append(now - self.last)
                    self.last = now
        finally:
            socket.reset()

    def take(self) -> list:
        """Returns the gaps since the last call, with the one that lasts."""
        gaps, self.gaps = [*self.gaps, time.monotonic() - self.last], []
        return gaps


async def get_with_kubectl(context: FloodContext) -> float:
    """Gets the containers with kubectl; returns the seconds, or NaN if it failed."""
    begun = time.monotonic()
    environment = {**os.environ, "KUBECONFIG": str(context.daemon.state / "kubeconfig")}
    kubectl = await asyncio.create_subprocess_exec(
        context.kubectl, "get", "containers", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        status = await asyncio.wait_for(kubectl.wait(), PATIENCE)
    except asyncio.TimeoutError:
        kubectl.kill()
        status = await kubectl.wait()
    return time.monotonic() - begun if status == 0 else float("nan")


class Service(NamedTuple):
    """What clients with credentials got during a flood, in seconds."""

    gets: list
    handshakes: list
    gaps: list
    opened: int

    def is_prompt(self) -> bool:
        """Returns whether nothing took longer than it may. A get that failed is NaN."""
        taken = [*self.gets, *self.handshakes]
        return all(seconds <= PROMPT_SECONDS for seconds in taken) and max(self.gaps) <= PROMPT_LINE_SECONDS


async def measure_service(context: FloodContext, target: Target, viewer: Viewer, clients: int) -> Service:
    """Measures what clients with credentials get during a flood."""
    seconds = context.pick(8, 30)
    async with FloodProcess(target, clients) as flood:
        first_gaps = viewer.take()
        begun, gets, handshakes = time.monotonic(), [], []
        while time.monotonic() - begun < seconds:
            gets.append(await get_with_kubectl(context))
            opening = time.monotonic()
            await close((await context.daemon.open())[1])
            handshakes.append(time.monotonic() - opening)
        return Service(gets, handshakes, first_gaps + viewer.take(), await flood.opened())


async def serve_others(context: FloodContext, target: Target) -> None:
    """Checks that clients with credentials are served during a flood."""
    daemon, report = context.daemon, context.report
    clients = context.pick(500, 2000)
    container = await context.docker.run(f"i=0; while :; do echo $i; i=$((i+1)); sleep {LINE_SECONDS}; done")
    await mirrored(context, [container])
    viewer = Viewer()
    following = asyncio.create_task(viewer.follow(daemon, container))
    await asyncio.sleep(2)
    quiet = [await get_with_kubectl(context) for _ in range(3)]
    quiet_gaps = viewer.take()

    for _ in range(ATTEMPTS):
        service = await measure_service(context, target, viewer, clients)
        if service.is_prompt():
            break
    gets, handshakes, gaps, opened = service
    ended = following.done()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)

    failed = sum(math.isnan(get) for get in gets)
    slowest = max((get for get in gets if not math.isnan(get)), default=float("nan"))
    report.add(
        "slow clients at once; connections that they opened",
        f"{clients}; {opened}",
        f"at least {REOPENINGS * clients:g}",
        opened >= REOPENINGS * clients,
    )
    report.add("kubectl get without them, slowest", f"{max(quiet):.2f} s")
    report.at_most("kubectl get among them, slowest", slowest, PROMPT_SECONDS, " s")
    report.equal(f"kubectl get that failed, of {len(gets)}", failed, 0)
    report.at_most("TLS handshake among them, slowest", max(handshakes), PROMPT_SECONDS, " s")
    report.add(
        "lines of a log without them: p50, longest gap", f"{percentile(quiet_gaps, 0.5):.2f} {max(quiet_gaps):.2f} s"
    )
    report.add("lines of a log among them: p50", f"{percentile(gaps, 0.5):.2f} s")
    report.at_most("lines of a log among them: longest gap", max(gaps), PROMPT_LINE_SECONDS, " s")
    report.equal("the log was followed all the time", not ended and len(gaps) > context.pick(8, 30), True)


async def run(context: FloodContext) -> None:
    daemon = context.daemon
    target = Target(daemon.host, daemon.port, daemon.authority)
    await measure_limits(context, target)
    await hold_large_heads(context, target)
    await serve_others(context, target)
