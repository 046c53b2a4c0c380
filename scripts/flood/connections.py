"""Many connections that are opened and closed again, half of them with a reset:
descriptors, memory, and metrics return to what they were.
"""

import asyncio

from flood.context import FloodContext, mirrored, until
from flood.websocket import LOST, RefusedError, close_frame, connect
from testbed.daemon import LOGS, Daemon

AT_ONCE = 48
GROWTH = 0.05  # of what there is after a warm-up of the same kind
SAMPLES, SAMPLE_SECONDS = 20, 0.1
GONE = ("rdd_log_sessions", 'rdd_plugin_streams{plugin="moby",kind="log"}')
CLOSED_SECONDS = 10.0
# Ways in which a client leaves
CLOSE, RESET, RESET_DURING_HANDSHAKE = "closed", "reset", "reset during the handshake"
WAYS = [CLOSE, RESET, CLOSE, RESET, CLOSE, RESET_DURING_HANDSHAKE]


async def visit(daemon: Daemon, path: str, way: str) -> None:
    """Opens the log and leaves."""
    if way == RESET_DURING_HANDSHAKE:
        opening = asyncio.create_task(connect(daemon, path))
        # The handshake of TLS takes longer than one turn of the loop.
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        return
    socket = await connect(daemon, path)
    if way == RESET:
        socket.reset()
        return
    await socket.send(close_frame(1000))
    code = await asyncio.wait_for(socket.close_code(), CLOSED_SECONDS)
    await socket.close()
    if code != 1000:
        raise ConnectionError(f"the close frame was answered with {code}")


async def visit_often(daemon: Daemon, path: str, count: int) -> list:
    """Runs visits, some at once; returns their failures."""
    failures, numbers = [], iter(range(count))

    async def visitor() -> None:
        for number in numbers:
            try:
                await visit(daemon, path, WAYS[number % len(WAYS)])
            except (*LOST, RefusedError, asyncio.TimeoutError) as error:
                failures.append(repr(error))

    await asyncio.gather(*(visitor() for _ in range(AT_ONCE)))
    return failures


async def settle(daemon: Daemon) -> dict:
    """Waits until all sessions are gone and the descriptors are steady; returns what
    the daemon uses."""

    async def is_quiet() -> bool:
        metrics = await daemon.metrics()
        before = daemon.descriptors()
        await asyncio.sleep(1)
        return all(metrics[name] == 0 for name in GONE) and daemon.descriptors() == before

    await until(is_quiet)
    metrics = await daemon.metrics()
    used = {"descriptors": await least_descriptors(daemon), "memory (KiB)": daemon.memory_kib()}
    return used | {name: int(metrics[name]) for name in GONE}


async def least_descriptors(daemon: Daemon) -> int:
    """Returns the least number of descriptors in a while: the connection of the request for
    the metrics is closed a moment later, and one that leaks never is."""
    least = daemon.descriptors()
    for _ in range(SAMPLES):
        await asyncio.sleep(SAMPLE_SECONDS)
        least = min(least, daemon.descriptors())
    return least


async def run(context: FloodContext) -> None:
    daemon, report = context.daemon, context.report
    quiet = await context.docker.run("exec sleep 100000")
    await mirrored(context, [quiet])
    path = f"{LOGS}/{quiet}"
    failures = await visit_often(daemon, path, context.pick(1000, 4000))
    before = await settle(daemon)
    count = context.pick(2000, 20000)
    failures += await visit_often(daemon, path, count)
    after = await settle(daemon)
    report.add("connections opened and closed", count)
    report.equal("connections that failed", len(failures), 0)
    for failure in failures[:5]:
        report.add(f"  {failure[:80]}", "", "", False)
    for what in ("descriptors", "memory (KiB)"):
        limit = int(before[what] * (1 + GROWTH))
        report.add(
            f"{what}, before and after", f"{before[what]} {after[what]}", f"at most {limit}", after[what] <= limit
        )
    for name in GONE:
        report.equal(name.replace('plugin="moby",', ""), after[name], 0)
