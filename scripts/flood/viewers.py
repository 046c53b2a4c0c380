"""Idle viewers of shared logs: how many there may be, what each costs, and how many
connections to the engine they use.
"""

import asyncio
import json

from flood.context import PATIENCE, FloodContext, mirrored, until
from flood.mux import MAX_SUBSCRIPTIONS, MuxClient
from flood.websocket import TEXT, RefusedError, WebSocket, connect
from testbed.daemon import LOGS, Daemon

USER_STREAMS = 384  # of one user, documented
RETRY_AFTER = "10"
VIEWERS = 380
VIEWER_KIB = 24.0
ATTEMPTS_ABOVE = 16
CONTAINERS = 20
SUBSCRIPTIONS_KIB = 400 * 1024
AT_ONCE = 16
# Each container writes one line as soon as this file exists.
SIGNAL = "/tmp/go"
SCRIPT = f"while [ ! -e {SIGNAL} ]; do sleep 0.2; done; echo go; exec sleep 100000"


async def open_all(count: int, opening) -> list:
    """Opens this many clients, some at once; returns them and the refusals."""
    numbers = iter(range(count))
    found = []

    async def opener() -> None:
        for number in numbers:
            try:
                found.append(await opening(number))
            except RefusedError as refused:
                found.append(refused)

    await asyncio.gather(*(opener() for _ in range(AT_ONCE)))
    return found


class JsonViewer:
    """A client of one log as JSON, which answers pings and counts entries."""

    def __init__(self, socket: WebSocket):
        self.socket, self.entries, self.has_begun = socket, 0, asyncio.Event()
        self.task = asyncio.create_task(self.read())

    async def read(self) -> None:
        while True:
            received = await self.socket.message()
            if received.opcode == TEXT:
                self.entries += len(json.loads(received.payload).get("entries", []))
                self.has_begun.set()


async def memory(daemon: Daemon) -> int:
    """Returns the daemon's memory when it is steady."""
    last = 0

    async def is_steady() -> bool:
        nonlocal last
        before, last = last, daemon.memory_kib()
        await asyncio.sleep(1)
        return before and abs(last - before) <= 64

    await until(is_steady)
    return last


async def signal(context: FloodContext, containers: list) -> None:
    """Lets the containers write their line."""
    for container in containers:
        await context.docker.execute(container, "touch", SIGNAL)


async def view_one(context: FloodContext) -> None:
    """Opens as many viewers of one log as a user may have, and some more."""
    daemon, report = context.daemon, context.report
    container = await context.docker.run(SCRIPT)
    await mirrored(context, [container])
    path = f"{LOGS}/{container}?tail=0"

    async def opening(_: int) -> JsonViewer:
        viewer = JsonViewer(await connect(daemon, path, "rdd.logs.v1+json"))
        await asyncio.wait_for(viewer.has_begun.wait(), PATIENCE)
        return viewer

    # The first one opens the engine's stream, and some more fill the allocator's pools.
    viewers = await open_all(USER_STREAMS - VIEWERS, opening)
    before, connections = await memory(daemon), daemon.engine_connections()
    viewers += await open_all(VIEWERS, opening)
    grown = await memory(daemon) - before
    report.equal("viewers of one log", sum(isinstance(it, JsonViewer) for it in viewers), USER_STREAMS)
    report.at_most("memory of an idle viewer", grown / VIEWERS, VIEWER_KIB, " KiB")
    report.equal("more connections to the engine for them", daemon.engine_connections() - connections, 0)

    above = await open_all(ATTEMPTS_ABOVE, opening)
    refusals = {
        (it.response.status, it.response.headers.get("retry-after")) for it in above if isinstance(it, RefusedError)
    }
    count = sum(isinstance(it, RefusedError) for it in above)
    report.equal("viewers above the limit of a user that were refused", count, ATTEMPTS_ABOVE)
    report.equal("their status and Retry-After", refusals, {(429, RETRY_AFTER)})

    await signal(context, [container])

    async def all_served() -> bool:
        return all(viewer.entries == 1 for viewer in viewers)

    await until(all_served)
    report.equal("viewers that got the next line", sum(viewer.entries == 1 for viewer in viewers), USER_STREAMS)
    for viewer in [*viewers, *(it for it in above if isinstance(it, JsonViewer))]:
        viewer.task.cancel()
        viewer.socket.reset()


class Subscriber:
    """A connection with idle subscriptions, one container each."""

    def __init__(self, client: MuxClient):
        self.client, self.task = client, None

    async def read(self) -> None:
        while not self.client.errors:
            await self.client.entries()


async def subscribe_often(context: FloodContext) -> None:
    """Opens many subscriptions of a few containers."""
    daemon, report = context.daemon, context.report
    connections = context.pick(20, 157)
    containers = [await context.docker.run(SCRIPT) for _ in range(CONTAINERS)]
    await mirrored(context, containers)

    async def opening(_: int) -> Subscriber:
        subscriber = Subscriber(await MuxClient.open(daemon))
        for number in range(MAX_SUBSCRIPTIONS):
            await subscriber.client.subscribe(number, container=containers[number % CONTAINERS], tail=0)
        await asyncio.wait_for(subscriber.client.wait_for_sources(MAX_SUBSCRIPTIONS), PATIENCE)
        return subscriber

    before, used = await memory(daemon), daemon.engine_connections()
    subscribers = await open_all(connections, opening)
    for subscriber in subscribers:
        subscriber.task = asyncio.create_task(subscriber.read())
    count = sum(len(subscriber.client.begun) for subscriber in subscribers)
    grown = await memory(daemon) - before
    report.equal("idle subscriptions", count, connections * MAX_SUBSCRIPTIONS)
    report.at_most("memory of all", grown / 1024, SUBSCRIPTIONS_KIB * connections / 157 / 1024, " MiB")
    report.at_most("memory of an idle subscription", grown / count, VIEWER_KIB, " KiB")
    report.equal("connections to the engine for them", daemon.engine_connections() - used, CONTAINERS)

    await signal(context, containers)

    async def all_served() -> bool:
        return all(subscriber.client.lines == MAX_SUBSCRIPTIONS for subscriber in subscribers)

    await until(all_served)
    lines = sum(subscriber.client.lines for subscriber in subscribers)
    report.equal("subscriptions that got the next line", lines, count)
    for subscriber in subscribers:
        subscriber.task.cancel()
        subscriber.client.socket.reset()


async def run(context: FloodContext) -> None:
    await view_one(context)

    async def is_quiet() -> bool:
        return await context.daemon.metric("rdd_log_sessions") == 0

    await until(is_quiet)
    await subscribe_often(context)
