"""The engine's API, as far as the tests need it."""

import asyncio
import contextlib
import json

from testbed.http import HttpError, call

IMAGE = "rdd-test"
DELETIONS_AT_ONCE = 4


class Docker:
    """An engine on a Unix socket. Its containers have a label of their own."""

    def __init__(self, socket: str, label: str):
        self.socket, self.label = socket, label
        self.created = []

    async def call(self, method: str, path: str, body=None):
        content = await call(lambda: asyncio.open_unix_connection(self.socket), method, path, body=body)
        return json.loads(content) if content.strip().startswith((b"{", b"[")) else content

    async def create(self, script: str) -> str:
        """Creates a container that runs a script of its shell; returns the ID."""
        body = {
            "Image": IMAGE,
            "Cmd": ["sh", "-c", script],
            "Labels": {self.label: ""},
            "StopTimeout": 0,
            "HostConfig": {"NetworkMode": "none"},
        }
        container = (await self.call("POST", "/containers/create", body))["Id"]
        self.created.append(container)
        return container

    async def run(self, script: str) -> str:
        """Creates and starts such a container; returns the ID."""
        container = await self.create(script)
        await self.call("POST", f"/containers/{container}/start")
        return container

    async def execute(self, container: str, *command: str) -> None:
        """Starts a process in a container."""
        created = await self.call("POST", f"/containers/{container}/exec", {"Cmd": command})
        await self.call("POST", f"/exec/{created['Id']}/start", {"Detach": True})

    async def remove(self) -> None:
        """Removes what was created."""
        slots = asyncio.Semaphore(DELETIONS_AT_ONCE)

        async def one(container: str) -> None:
            async with slots:
                with contextlib.suppress(HttpError):
                    await self.call("DELETE", f"/containers/{container}?force=true")

        await asyncio.gather(*(one(container) for container in self.created))
        self.created.clear()
