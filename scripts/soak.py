"""Runs one daemon under a steady load and checks that it stays stable.

Containers are created, started, executed in, restarted, and removed at a fixed
rate of engine events; logs are followed with `rdd logs -f` and over WebSockets.
Each sample records the daemon's memory, descriptors, and threads, its warnings,
and the number of mirrors and containers in a CSV file. Exits with 1 if a limit
is exceeded or anything was lost.
"""

import argparse
import asyncio
import csv
import json
import sys
import time
from pathlib import Path

from testbed.daemon import LOGS, Daemon
from testbed.docker import Docker
from testbed.http import HttpError
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
LISTING_SECONDS = 5.0  # a listing takes milliseconds; this long means that the daemon hung
DIVERGED_SECONDS = 8.0  # a mirror follows within milliseconds on an idle machine
LONG_SECONDS = 600.0  # of a run in which the rate of the load counts
SETTLE_SECONDS = 30.0  # for the last events to arrive after the load has ended
LABEL = "rdd-soak"


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


class BusyEngine(Docker):
    """The engine under load, whose events are counted."""

    def __init__(self, socket: str):
        super().__init__(socket, LABEL)
        self.events = 0

    async def live(self) -> None:
        """Takes one container through its life cycle."""
        container = await self.run("exec sleep 1000")
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
        command = [daemon.rdd, "--state-dir", str(daemon.state), "logs", "-f", self.container]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        while data := await process.stdout.read(2**16):
            self.take(data)
        self.ended = f"closed with {await process.wait() or 1000}"


class Mirrors:
    """Compares mirrors with containers while both change: only a difference that
    persists counts."""

    def __init__(self):
        self.since, self.diverged, self.slowest = {}, set(), 0.0

    async def compare(self, docker: BusyEngine, daemon: Daemon) -> tuple:
        before = await docker.ids()
        asked = time.monotonic()
        mirrored = set(await daemon.mirrors())
        self.slowest = max(self.slowest, time.monotonic() - asked)
        after = await docker.ids()
        now = time.monotonic()
        different = ((before & after) - mirrored) | (mirrored - before - after)
        self.since = {name: self.since.get(name, now) for name in different}
        self.diverged |= {name for name, since in self.since.items() if now - since > DIVERGED_SECONDS}
        return len(after), len(mirrored)


def usage(daemon: Daemon) -> dict:
    return {"memory_kib": daemon.memory_kib(), "descriptors": daemon.descriptors(), "threads": daemon.threads()}


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


async def load(docker: BusyEngine, rate: float, until: float) -> int:
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


async def settled(docker: BusyEngine, daemon: Daemon) -> bool:
    deadline = time.monotonic() + SETTLE_SECONDS
    while await docker.ids() != set(await daemon.mirrors()):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.2)
    return True


async def main() -> int:
    options = arguments()
    docker = BusyEngine(options.engine)
    daemon = Daemon(options.rdd, Path(options.state_dir), options.engine, options.plugin_dir)
    await daemon.start("--resync", options.resync)
    counting = asyncio.create_task(docker.count_events())
    script = f"i=0; while [ ! -e /tmp/end ]; do echo $i; i=$((i+1)); sleep {LINE_PAUSE}; done"
    talkers = [await docker.run(script) for _ in range(TALKERS)]
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
            sample = {"seconds": round(time.monotonic() - begun, 1), **usage(daemon)}
            sample |= {"containers": containers, "mirrors": mirrored, "events": docker.events}
            sample |= {"lines": sum(follower.lines for follower in followers), "warnings": len(daemon.problems())}
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
        await docker.execute(talker, "touch", "/tmp/end")
    await asyncio.wait(following, timeout=SETTLE_SECONDS)
    written = {}
    for talker in talkers:
        content = await docker.call("GET", f"/containers/{talker}/logs?stdout=true&tail=1")
        written[talker] = int(content[8:]) + 1
    counting.cancel()
    warnings = daemon.problems()
    ended = await daemon.stop()

    warm = [sample for sample in samples if sample["seconds"] >= min(took * WARM_UP, LONGEST_WARM_UP)]
    lost = [
        f"{follower.name}: {follower.fault or f'{follower.lines} of {written[follower.container]} lines'}, {follower.ended}"
        for follower in followers
        if follower.fault or follower.lines != written[follower.container] or follower.ended != "closed with 1000"
    ]
    of_backend = [entry for entry in warnings if entry.get("target", "").startswith("rdd_plugin")]
    memory, descriptors = trend(warm, "memory_kib"), trend(warm, "descriptors")
    # A short run is a test: it needs some load, however slow the machine is.
    least = 1 if took < LONG_SECONDS else options.rate / 2
    table = [
        ("engine events per second", f"{docker.events / took:.1f}", f"at least {least:g}", docker.events / took >= least),
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
