"""The process of an engine with many containers (log_engine.py)."""

import asyncio
import sys
from pathlib import Path

from flood.context import PATIENCE, FloodContext, until
from testbed import http

PROGRAM = Path(__file__).with_name("log_engine.py")


class FakeEngine:
    """An engine that runs within `async with`."""

    def __init__(self, context: FloodContext, containers: int):
        self.socket = str(context.work / "engine.sock")
        self.containers = [f"{number + 1:064x}" for number in range(containers)]

    async def __aenter__(self) -> "FakeEngine":
        count = str(len(self.containers))
        self.process = await asyncio.create_subprocess_exec(sys.executable, str(PROGRAM), self.socket, count)

        async def listens() -> bool:
            return Path(self.socket).exists() or self.process.returncode is not None

        await until(listens, PATIENCE)
        return self

    async def __aexit__(self, *_) -> None:
        self.process.kill()
        await self.process.wait()
        Path(self.socket).unlink()

    async def write(self, lines: int, pause: float) -> None:
        """Lets each container write lines; returns at their end."""
        opening = lambda: asyncio.open_unix_connection(self.socket)
        await http.call(opening, "POST", f"/flood?lines={lines}&pause={pause}")
