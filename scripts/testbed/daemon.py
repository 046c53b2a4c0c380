"""A daemon under test: its process, its API, and what it uses."""

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import ssl
import sys
import time
from pathlib import Path

from testbed import http

START_SECONDS = 120.0  # a debug build on a busy machine
STOP_SECONDS = 30.0
NAMESPACE = "rancher-desktop"
CONTAINERS = f"/apis/containers.rancherdesktop.io/v1alpha1/namespaces/{NAMESPACE}/containers"
LOGS, EXEC = "/passthrough/engine/logs", "/passthrough/engine/exec"
TICKS = os.sysconf("SC_CLK_TCK")


class Daemon:
    """One instance with a state directory of its own."""

    def __init__(self, rdd: str, state: Path, engine: str, plugins=None):
        self.rdd, self.state, self.engine, self.plugins = rdd, state, engine, plugins
        self.log = state.with_suffix(".log")

    async def start(self, *arguments: str, descriptors=None) -> None:
        """Starts it and waits until it is ready. `descriptors` are the soft and the
        hard limit of open files."""
        command = [self.rdd, "serve", "--state-dir", str(self.state), "--log-format", "json"]
        command += ["--engine-endpoint", f"unix://{self.engine}", *arguments]
        if self.plugins:
            command += ["--plugin-dir", self.plugins]

        def limit() -> None:
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, descriptors)

        with open(self.log, "ab") as log:
            self.process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, preexec_fn=limit)
        deadline = time.monotonic() + START_SECONDS
        while not (self.state / "kubeconfig").exists():
            if self.process.returncode is not None or time.monotonic() > deadline:
                sys.exit(f"the daemon did not start:\n{self.log.read_text()}")
            await asyncio.sleep(0.1)
        config = (self.state / "kubeconfig").read_text()
        self.host, port = re.search(r'https://([^"\s]+):([0-9]+)', config).groups()
        self.port = int(port)
        self.token = (self.state / "token").read_text().strip()
        self.authority = str(self.state / "tls" / "ca.crt")
        self.tls = self.tls_context()

    def tls_context(self, *protocols: str, certificate=None) -> ssl.SSLContext:
        """Returns how a client connects: with these protocols of ALPN, and with the
        files of a client certificate and its key."""
        tls = ssl.create_default_context(cafile=self.authority)
        if protocols:
            tls.set_alpn_protocols(protocols)
        if certificate:
            tls.load_cert_chain(*certificate)
        return tls

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def credentials(self) -> str:
        return f"Authorization: Bearer {self.token}"

    async def open(self, tls=None):
        """Opens a connection."""
        return await asyncio.open_connection(self.host, self.port, ssl=tls or self.tls, limit=2**21)

    async def request(self, method: str, path: str, headers=(), body=None, tls=None) -> http.Response:
        """Sends a request with the token, unless a client certificate is in `tls`."""
        credentials = [] if tls else [self.credentials]
        headers = [*credentials, "Accept: application/json", *headers]
        return await http.request(lambda: self.open(tls), method, path, headers, body)

    async def mirrors(self) -> dict:
        """Returns the mirrors of containers by name."""
        headers = [self.credentials, "Accept: application/json"]
        items = json.loads(await http.call(self.open, "GET", CONTAINERS, headers))["items"]
        return {item["metadata"]["name"]: item for item in items}

    async def metrics(self) -> dict:
        """Returns the values of /metrics, by name and labels."""
        body = (await self.request("GET", "/metrics", ["Accept: text/plain"])).body.decode()
        lines = (line.rsplit(" ", 1) for line in body.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    async def metric(self, name: str) -> float:
        return (await self.metrics()).get(name, 0.0)

    def proc(self, name: str) -> Path:
        return Path(f"/proc/{self.process.pid}/{name}")

    def memory_kib(self) -> int:
        """Returns the resident memory."""
        status = self.proc("status").read_text()
        return int(re.search(r"^VmRSS:\s*([0-9]+)", status, re.M)[1])

    def descriptors(self) -> int:
        return len(os.listdir(self.proc("fd")))

    def threads(self) -> int:
        return len(os.listdir(self.proc("task")))

    def descriptor_limits(self) -> tuple:
        """Returns the soft and the hard limit of open files."""
        found = re.search(r"^Max open files\s+([0-9]+)\s+([0-9]+)", self.proc("limits").read_text(), re.M)
        return int(found[1]), int(found[2])

    def cpu_seconds(self) -> float:
        fields = self.proc("stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def engine_connections(self) -> int:
        """Counts the connected Unix sockets, a few of which are the runtime's own."""
        own = set()
        for entry in os.scandir(self.proc("fd")):
            with contextlib.suppress(OSError):
                own.add(os.readlink(entry.path))
        rows = (line.split() for line in self.proc("net/unix").read_text().splitlines()[1:])
        # The columns are those of unix(7): 0001 is a stream, 03 is connected.
        return sum(row[4] == "0001" and row[5] == "03" and f"socket:[{row[6]}]" in own for row in rows)

    def entries(self) -> list:
        """Returns the lines of the daemon's log."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def problems(self) -> list:
        """Returns the warnings and errors of the daemon's log."""
        return [entry for entry in self.entries() if entry.get("level") in ("WARN", "ERROR")]

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
