"""What every part gets: the daemon, the engine, and the size of the run."""

import asyncio
import time
from pathlib import Path
from typing import NamedTuple

from flood.report import Report
from testbed.daemon import Daemon
from testbed.docker import Docker

PATIENCE = 60.0  # for what is waited for and not measured, on a busy machine


class FloodContext(NamedTuple):
    """The subjects of a part, and where it writes."""

    daemon: Daemon
    docker: Docker
    report: Report
    kubectl: str
    work: Path
    is_short: bool

    def pick(self, short, long):
        return short if self.is_short else long


async def until(condition, patience: float = PATIENCE):
    """Polls an asynchronous condition until it holds. Returns its last value and
    how long that took in seconds."""
    begun = time.monotonic()
    while True:
        value = await condition()
        took = time.monotonic() - begun
        if value or took > patience:
            return value, took
        await asyncio.sleep(0.05)


async def mirrored(context: FloodContext, containers: list) -> None:
    """Waits until the daemon has mirrors of the containers."""

    async def all_there() -> bool:
        return set(containers) <= set(await context.daemon.mirrors())

    found, _ = await until(all_there)
    if not found:
        raise TimeoutError("the containers were not mirrored")
