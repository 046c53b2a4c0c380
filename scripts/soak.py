"""Runs one daemon under a steady load and checks that it stays stable.

Containers are created, started, executed in, restarted, and removed at a fixed
rate of engine events; logs are followed with `rdd logs -f` and over WebSockets.
Each sample records the daemon's memory, descriptors, and threads, its warnings,
and the number of mirrors and containers in a CSV file. Exits with 1 if a limit
is exceeded or anything was lost.
"""

import argparse
import asyncio
import contextlib
import csv
import json
import os
import re
import signal
import ssl
import sys
import time
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

# Limits of the trend after the warm-up: the slope of a regression line through the
# samples, times the duration.
MEMORY_GROWTH_KIB = 8 * 1024  # allocators keep pages; a leak of one object per event is far more in an hour
DESCRIPTOR_GROWTH = 8  # requests that happen to be in progress at a sample
# Part of the run in which caches and pools fill up, at most ten minutes
WARM_UP, LONGEST_WARM_UP = 0.25, 600.0

EVENTS_OF_CYCLE = 17  # events of one container's life cycle below, counted with dockerd 20.10
LIVES_AT_ONCE = 8  # with more, the engine would be the bottleneck
TALKERS = 3  # containers whose logs are followed, each by both kinds of client
LINE_PAUSE = "0.1"  # seconds between lines
SAMPLE_SECONDS, SHORTEST_SAMPLE = 10.0, 2.0
START_SECONDS = 120.0  # a debug build on a busy machine
LISTING_SECONDS = 5.0  # a listing takes milliseconds; this long means that the daemon hung
DIVERGED_SECONDS = 8.0  # a mirror follows within milliseconds on an idle machine
SETTLE_SECONDS = 30.0  # for the last events to arrive after the load has ended
NAMESPACE = "rancher-desktop"
LABEL = "rdd-soak"
LOGS = "/passthrough/engine/logs"


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        prog="scripts/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--seconds", type=float, default=3600, help="duration of the load (default: one hour)")
    options.add_argument("--rate", type=float, default=20, help="engine events per second (default: 20)")
    options.add_argument("--resync", default="30s", help="the daemon's --resync (default: 30s)")
    options.add_argument("--rdd", required=True, help="the program (default: target/release/rdd)")
    options.add_argument("--plugin-dir", help="directory with its backends (default: next to the program)")
    options.add_argument("--csv", default="soak.csv", help="file for the samples (default: soak.csv)")
    options.add_argument("--state-dir", required=True, help=argparse.SUPPRESS)
    options.add_argument("--engine", required=True, help=argparse.SUPPRESS)
    return options.parse_args()


class HttpError(Exception):
    """An error response."""

    def __init__(self, method: str, path: str, status: int, body: bytes):
        super().__init__(f"{method} {path}: {status} {body.decode(errors='replace').strip()}")
        self.status = status


async def request(opening, method, path, headers=(), body=None):
    """Sends one HTTP/1.1 request on a new connection; returns the body."""
    reader, writer = await opening()
    try:
        payload = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(payload)}"]
        head += ["Content-Type: application/json", *headers, "", ""]
        writer.write("\r\n".join(head).encode() + payload)
        await writer.drain()
        answer = await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
    head, _, content = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if b"transfer-encoding: chunked" in head.lower():
        content = join_chunks(content)
    if status >= 400:
        raise HttpError(method, path, status, content)
    return content


def join_chunks(content: bytes) -> bytes:
    whole, at = [], 0
    while at < len(content):
        end = content.index(b"\r\n", at)
        size = int(content[at:end].split(b";")[0], 16)
        if size == 0:
            break
        whole.append(content[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(whole)


class Docker:
    """The engine's API."""

    def __init__(self, socket: str):
        self.socket = socket
        self.events = 0

    async def call(self, method, path, body=None):
        content = await request(lambda: asyncio.open_unix_connection(self.socket), method, path, body=body)
        return json.loads(content) if content.strip().startswith((b"{", b"[")) else content

    async def create(self, script: str) -> str:
        body = {
            "Image": "rdd-test",
            "Cmd": ["sh", "-c", script],
            "Labels": {LABEL: ""},
            "StopTimeout": 0,
            "HostConfig": {"NetworkMode": "none"},
        }
        return (await self.call("POST", "/containers/create", body))["Id"]

    async def live(self) -> None:
        """Takes one container through its life cycle."""
        container = await self.create("exec sleep 1000")
        await self.call("POST", f"/containers/{container}/start")
        command = await self.call("POST", f"/containers/{container}/exec", {"Cmd": ["true"], "AttachStdout": True})
        await self.call("POST", f"/exec/{command['Id']}/start", {"Detach": True})
        await self.call("POST", f"/containers/{container}/restart?t=0")
        await self.call("DELETE", f"/containers/{container}?force=true")

    async def ids(self) -> set:
        return {container["Id"] for container in await self.call("GET", "/containers/json?all=true")}

    async def count_events(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self.socket, limit=2**20)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while line := await reader.readline():
            self.events += line.startswith(b"{")


class Daemon:
    """The daemon's process and API."""

    def __init__(self, options):
        self.options = options
        self.state = Path(options.state_dir)
        self.log = self.state.with_suffix(".log")

    async def start(self) -> None:
        command = [self.options.rdd, "serve", "--state-dir", str(self.state), "--resync", self.options.resync]
        command += ["--engine-endpoint", f"unix://{self.options.engine}", "--log-format", "json"]
        if self.options.plugin_dir:
            command += ["--plugin-dir", self.options.plugin_dir]
        with open(self.log, "wb") as log:
            self.process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not (self.state / "kubeconfig").exists():
            if self.process.returncode is not None or time.monotonic() > deadline:
                sys.exit(f"the daemon did not start:\n{self.log.read_text()}")
            await asyncio.sleep(0.1)
        config = (self.state / "kubeconfig").read_text()
        self.address = re.search(r'https://([^"\s]+)', config)[1]
        self.token = (self.state / "token").read_text().strip()
        self.tls = ssl.create_default_context(cafile=str(self.state / "tls" / "ca.crt"))

    def opening(self):
        host, port = self.address.rsplit(":", 1)
        return asyncio.open_connection(host, int(port), ssl=self.tls, limit=2**20)

    async def get(self, path: str):
        return await request(self.opening, "GET", path, [f"Authorization: Bearer {self.token}", "Accept: application/json"])

    async def mirrors(self) -> set:
        path = f"/apis/containers.rancherdesktop.io/v1alpha1/namespaces/{NAMESPACE}/containers"
        return {item["metadata"]["name"] for item in json.loads(await self.get(path))["items"]}

    def usage(self) -> dict:
        base = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (base / "status").read_text().splitlines() if ":" in line)
        return {
            "memory_kib": int(status["VmRSS"].split()[0]),
            "descriptors": len(os.listdir(base / "fd")),
            "threads": int(status["Threads"]),
        }

    def warnings(self) -> list:
        """Warnings and errors of the daemon's log."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("level") in ("WARN", "ERROR"):
                    found.append(entry)
        return found

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), SETTLE_SECONDS)


class Follower:
    """Reads one log, whose lines are consecutive numbers from zero."""

    def __init__(self, kind: str, container: str):
        self.name = f"{kind} {container[:12]}"
        self.container = container
        self.rest, self.lines, self.fault, self.ended = b"", 0, None, "still open"

    def take(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            if line != b"%d" % self.lines and self.fault is None:
                self.fault = f"line {self.lines} is {line[:60]!r}"
            self.lines += 1

    async def websocket(self, daemon: Daemon) -> None:
        url = f"wss://{daemon.address}{LOGS}/{self.container}"
        headers = {"Authorization": f"Bearer {daemon.token}"}
        async with connect(url, ssl=daemon.tls, additional_headers=headers) as socket:
            try:
                while True:
                    self.take(await socket.recv())
            except ConnectionClosed as closed:
                self.ended = f"closed with {closed.rcvd.code if closed.rcvd else 1006}"

    async def command(self, daemon: Daemon) -> None:
        command = [daemon.options.rdd, "--state-dir", str(daemon.state), "logs", "-f", self.container]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        while data := await process.stdout.read(2**16):
            self.take(data)
        self.ended = f"closed with {await process.wait() or 1000}"


class Mirrors:
    """Compares mirrors with containers while both change: only a difference that
    persists counts."""

    def __init__(self):
        self.since, self.diverged, self.slowest = {}, set(), 0.0

    async def compare(self, docker: Docker, daemon: Daemon) -> tuple:
        before = await docker.ids()
        asked = time.monotonic()
        mirrored = await daemon.mirrors()
        self.slowest = max(self.slowest, time.monotonic() - asked)
        after = await docker.ids()
        now = time.monotonic()
        different = ((before & after) - mirrored) | (mirrored - before - after)
        self.since = {name: self.since.get(name, now) for name in different}
        self.diverged |= {name for name, since in self.since.items() if now - since > DIVERGED_SECONDS}
        return len(after), len(mirrored)


def trend(samples: list, field: str) -> float:
    """Returns how much a field grew, according to a regression line."""
    times = [sample["seconds"] for sample in samples]
    values = [sample[field] for sample in samples]
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times)
    if spread == 0:
        return 0.0
    slope = sum((at - middle) * (value - mean) for at, value in zip(times, values)) / spread
    return slope * (times[-1] - times[0])


async def load(docker: Docker, rate: float, until: float) -> int:
    """Starts life cycles at a steady rate; a slow one does not delay the next."""
    lives, failures, begun = set(), 0, time.monotonic()
    slots = asyncio.Semaphore(LIVES_AT_ONCE)

    async def one():
        nonlocal failures
        try:
            await docker.live()
        except (HttpError, OSError) as error:
            failures += 1
            print(f"the engine failed: {error}", file=sys.stderr)
        finally:
            slots.release()

    count = 0
    while time.monotonic() < until:
        await slots.acquire()
        life = asyncio.create_task(one())
        lives.add(life)
        life.add_done_callback(lives.discard)
        count += 1
        await asyncio.sleep(max(0.0, begun + count * EVENTS_OF_CYCLE / rate - time.monotonic()))
    await asyncio.gather(*lives)
    return failures


async def settled(docker: Docker, daemon: Daemon) -> bool:
    deadline = time.monotonic() + SETTLE_SECONDS
    while await docker.ids() != await daemon.mirrors():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.2)
    return True


async def main() -> int:
    options = arguments()
    docker, daemon = Docker(options.engine), Daemon(options)
    await daemon.start()
    counting = asyncio.create_task(docker.count_events())
    script = f"i=0; while [ ! -e /tmp/end ]; do echo $i; i=$((i+1)); sleep {LINE_PAUSE}; done"
    talkers = [await docker.create(script) for _ in range(TALKERS)]
    for talker in talkers:
        await docker.call("POST", f"/containers/{talker}/start")
    if not await settled(docker, daemon):
        sys.exit(f"the first sync did not complete:\n{daemon.log.read_text()}")
    followers = [Follower(kind, talker) for talker in talkers for kind in ("websocket", "command")]
    following = [asyncio.create_task(getattr(follower, follower.name.split()[0])(daemon)) for follower in followers]

    begun = time.monotonic()
    interval = max(SHORTEST_SAMPLE, min(SAMPLE_SECONDS, options.seconds / 20))
    loading = asyncio.create_task(load(docker, options.rate, begun + options.seconds))
    samples, mirrors = [], Mirrors()
    with open(options.csv, "w", newline="", encoding="ascii") as file:
        rows = None
        while not loading.done() and daemon.process.returncode is None:
            containers, mirrored = await mirrors.compare(docker, daemon)
            sample = {"seconds": round(time.monotonic() - begun, 1), **daemon.usage()}
            sample |= {"containers": containers, "mirrors": mirrored, "events": docker.events}
            sample |= {"lines": sum(follower.lines for follower in followers), "warnings": len(daemon.warnings())}
            rows = rows or csv.DictWriter(file, sample.keys())
            if not samples:
                rows.writeheader()
            rows.writerow(sample)
            file.flush()
            samples.append(sample)
            await asyncio.wait([loading], timeout=interval)
    took = time.monotonic() - begun
    if daemon.process.returncode is not None:
        sys.exit(f"the daemon exited with {daemon.process.returncode}:\n{daemon.log.read_text()[-4000:]}")
    failures = await loading
    equal = await settled(docker, daemon)

    for talker in talkers:
        command = await docker.call("POST", f"/containers/{talker}/exec", {"Cmd": ["touch", "/tmp/end"]})
        await docker.call("POST", f"/exec/{command['Id']}/start", {"Detach": True})
    await asyncio.wait(following, timeout=SETTLE_SECONDS)
    written = {}
    for talker in talkers:
        content = await docker.call("GET", f"/containers/{talker}/logs?stdout=true&tail=1")
        written[talker] = int(content[8:]) + 1
    counting.cancel()
    warnings = daemon.warnings()
    ended = await daemon.stop()

    warm = [sample for sample in samples if sample["seconds"] >= min(took * WARM_UP, LONGEST_WARM_UP)]
    lost = [
        f"{follower.name}: {follower.fault or f'{follower.lines} of {written[follower.container]} lines'}, {follower.ended}"
        for follower in followers
        if follower.fault or follower.lines != written[follower.container] or follower.ended != "closed with 1000"
    ]
    of_backend = [entry for entry in warnings if entry.get("target", "").startswith("rdd_plugin")]
    memory, descriptors = trend(warm, "memory_kib"), trend(warm, "descriptors")
    table = [
        ("engine events per second", f"{docker.events / took:.1f}", f"at least {options.rate / 2:g}", docker.events / took >= options.rate / 2),
        ("lines followed", sum(follower.lines for follower in followers), "", True),
        ("memory, first and last sample after the warm-up (KiB)", f"{warm[0]['memory_kib']} {warm[-1]['memory_kib']}", "", True),
        ("memory, trend (KiB)", f"{memory:+.0f}", f"at most {MEMORY_GROWTH_KIB}", memory <= MEMORY_GROWTH_KIB),
        ("descriptors, first and last sample", f"{warm[0]['descriptors']} {warm[-1]['descriptors']}", "", True),
        ("descriptors, trend", f"{descriptors:+.1f}", f"at most {DESCRIPTOR_GROWTH}", descriptors <= DESCRIPTOR_GROWTH),
        ("threads, first and last sample", f"{warm[0]['threads']} {warm[-1]['threads']}", "", True),
        ("warnings and errors of the backend and its host", len(of_backend), "none", not of_backend),
        ("slowest list of the mirrors (s)", f"{mirrors.slowest:.3f}", f"at most {LISTING_SECONDS:g}", mirrors.slowest <= LISTING_SECONDS),
        ("mirrors that diverged under load", len(mirrors.diverged), "none", not mirrors.diverged),
        ("mirrors equal to the containers at the end", "yes" if equal else "no", "yes", equal),
        ("logs with lost lines", len(lost), "none", not lost),
        ("failures of the engine", failures, "none", failures == 0),
        ("the daemon's exit code", ended, "0", ended == 0),
    ]
    print(f"{took:.0f} s of load; {len(samples)} samples in {options.csv}\n")
    for what, value, bound, kept in table:
        print(f"{what:55} {value!s:>16}  {bound:16} {'' if kept else 'EXCEEDED'}".rstrip())
    for line in [*lost, *(json.dumps(entry) for entry in warnings[-20:])]:
        print(line)
    return 0 if all(kept for *_, kept in table) else 1


sys.exit(asyncio.run(main()))
