"""The limits of one user and of all: nobody uses up everything, and the daemon never
runs out of descriptors, however few it has.
"""

import asyncio
import json
import subprocess

from flood.context import PATIENCE, FloodContext, mirrored, until
from flood.fake_engine import FakeEngine
from flood.mux import MAX_SOURCES, MuxClient
from flood.viewers import RETRY_AFTER, USER_STREAMS, open_all
from flood.websocket import BINARY, RefusedError, WebSocket, connect, frame
from testbed.daemon import CONTAINERS, EXEC, LOGS, Daemon
from testbed.http import read_head

ALL_STREAMS, ALL_CONNECTIONS = 512, 768
# A hard limit of open files with which the daemon's own limits are lower
FEW_DESCRIPTORS = 600
RESIZES = 20  # of the terminal of each process
DESCRIPTORS_OF_STREAM = 3  # which the daemon's limits allow for
# Words of the daemon's log
LOWERED, EXHAUSTED = "the limit of open files is low", "Too many open files"
WATCH = f"{CONTAINERS}?watch=true"


def client_certificate(context: FloodContext, user: str):
    """Issues an administrator's certificate with the daemon's authority, as its owner can."""
    tls, work = context.daemon.state / "tls", context.work
    key, request, certificate, extensions = (work / f"{user}.{kind}" for kind in ("key", "csr", "crt", "cnf"))
    extensions.write_text("extendedKeyUsage=clientAuth\n")
    subject = f"/O=system:masters/CN={user}"
    new_key = f"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj {subject} -keyout {key} -out {request}"
    sign = f"x509 -req -in {request} -CA {tls}/ca.crt -CAkey {tls}/ca.key -CAcreateserial -CAserial {work}/serial"
    for command in (new_key, f"{sign} -days 2 -extfile {extensions} -out {certificate}"):
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True)
    return context.daemon.tls_context(certificate=(certificate, key))


def is_open(client) -> bool:
    return not isinstance(client, RefusedError)


def count_open(clients: list) -> int:
    return sum(is_open(client) for client in clients)


def resize(columns: int) -> bytes:
    """A new size of a terminal, on its channel."""
    return b"\x04" + json.dumps({"Width": 80 + columns, "Height": 24}).encode()


def exhausted(daemon: Daemon) -> int:
    """Counts the lines of the log that say that no descriptors are left."""
    return sum(EXHAUSTED in json.dumps(entry) for entry in daemon.entries())


def reset_all(clients: list) -> None:
    for client in clients:
        if is_open(client):
            client.reset()


async def quiet(daemon: Daemon) -> None:
    async def is_quiet() -> bool:
        return await daemon.metric("rdd_log_sessions") == 0

    await until(is_quiet)


async def share_streams(context: FloodContext, second) -> None:
    """The token takes all streams that it gets; another user has the rest."""
    daemon, report = context.daemon, context.report
    container = await context.docker.run("exec sleep 100000")
    await mirrored(context, [container])
    path = f"{LOGS}/{container}?tail=0"

    def opening(tls):
        return lambda _: connect(daemon, path, tls=tls)

    first_user = await open_all(USER_STREAMS + 8, opening(None))
    report.equal("streams that one user gets", count_open(first_user), USER_STREAMS)
    second_user = await open_all(ALL_STREAMS - USER_STREAMS + 8, opening(second))
    report.equal("streams that another user gets then", count_open(second_user), ALL_STREAMS - USER_STREAMS)
    refused = {
        (it.response.status, it.response.headers.get("retry-after"))
        for it in (*first_user, *second_user)
        if not is_open(it)
    }
    report.equal("the answers to all others, with Retry-After", refused, {(429, RETRY_AFTER)})
    reset_all([*first_user, *second_user])
    await quiet(daemon)


class WatchClient:
    """A connection on which a watch of the API runs."""

    def __init__(self, writer, status: int):
        self.writer, self.status = writer, status

    @classmethod
    async def open(cls, daemon: Daemon, tls=None) -> "WatchClient":
        reader, writer = await daemon.open(tls)
        credentials = f"{daemon.credentials}\r\n" if tls is None else ""
        writer.write(f"GET {WATCH} HTTP/1.1\r\nHost: localhost\r\n{credentials}\r\n".encode())
        return cls(writer, (await read_head(reader)).status)


async def share_connections(context: FloodContext, second) -> None:
    """The token takes all connections that it gets; another user can still connect."""
    daemon, report = context.daemon, context.report
    watches = await open_all(ALL_CONNECTIONS + 8, lambda _: WatchClient.open(daemon))
    served = sum(watch.status == 200 for watch in watches)
    other = await WatchClient.open(daemon, second)
    report.add("connections that one user gets", served, f"below {ALL_CONNECTIONS}", 0 < served < ALL_CONNECTIONS)
    report.equal("the status of others", {watch.status for watch in watches if watch.status != 200}, {429})
    report.equal("the status of another user's watch then", other.status, 200)
    for watch in [*watches, other]:
        watch.writer.transport.abort()


async def share_sources(context: FloodContext, second) -> None:
    """The token follows as many containers as one connection may. All users share the
    limit of streams from the engine, so another user's next one is refused, and says
    so; what is followed goes on."""
    daemon, report = context.daemon, context.report
    async with FakeEngine(context, MAX_SOURCES + 1) as engine:
        await restart(daemon, engine.socket)
        await mirrored(context, engine.containers)
        client = await MuxClient.open(daemon)
        await client.subscribe(1, selector=f"number notin ({MAX_SOURCES + 1})", tail=0)
        await asyncio.wait_for(client.wait_for_sources(MAX_SOURCES), PATIENCE)
        other = await MuxClient.open(daemon, second)
        await other.subscribe(1, container=engine.containers[-1], tail=0)
        await asyncio.wait_for(other.wait_for_sources(1), PATIENCE)
        report.equal("sources that one user follows on one connection", len(client.begun), MAX_SOURCES)
        codes = [event["code"] for event in other.errors]
        report.add("another user's error for one more source", codes, "none, or 429", codes in ([], [429]))
        await engine.write(1, 0.01)
        await asyncio.wait_for(client.wait_for_lines(MAX_SOURCES), PATIENCE)
        report.equal("lines of the followed sources then", client.lines, MAX_SOURCES)
        await daemon.stop()


async def restart(daemon: Daemon, engine: str, **options) -> None:
    await daemon.stop()
    daemon.engine = engine
    await daemon.start(**options)


async def run_out_of_descriptors(context: FloodContext, second) -> None:
    """With few descriptors, the limits are lower, and keep some for everything else."""
    daemon, report = context.daemon, context.report
    async with FakeEngine(context, MAX_SOURCES) as engine:
        await restart(daemon, engine.socket, descriptors=(FEW_DESCRIPTORS // 2, FEW_DESCRIPTORS))
        report.equal("limit of open files, raised from the half", daemon.descriptor_limits()[0], FEW_DESCRIPTORS)
        lowered = [entry for entry in daemon.entries() if LOWERED in json.dumps(entry)]
        report.equal("lines in the log about lower limits", len(lowered), 1)
        await mirrored(context, engine.containers)

        # A connection for each stream, an engine stream for each of them, and sources.
        def own_stream(tls):
            return lambda number: connect(daemon, f"{LOGS}/{engine.containers[number]}?timestamps=true&tail=0", tls=tls)

        muxes = [await MuxClient.open(daemon, tls) for tls in (None, second)]
        streams = await open_all(USER_STREAMS, own_stream(None)) + await open_all(USER_STREAMS, own_stream(second))
        for client in muxes:
            await client.subscribe(1, selector="flood=yes", tail=0)
        anonymous = [await asyncio.open_connection(daemon.host, daemon.port) for _ in range(FEW_DESCRIPTORS)]
        await asyncio.wait_for(asyncio.gather(*(client.wait_for_sources(MAX_SOURCES) for client in muxes)), PATIENCE)
        answered = (await daemon.request("GET", CONTAINERS)).status
        used = daemon.descriptors()
        report.add("streams of two users, and sources", f"{count_open(streams)} {sum(len(it.begun) for it in muxes)}")
        report.at_most("descriptors in use", used, FEW_DESCRIPTORS)
        report.equal("a list of the containers then", answered, 200)
        report.equal("lines in the log about no descriptors", exhausted(daemon), 0)
        reset_all([*streams, *(client.socket for client in muxes)])
        for _, writer in anonymous:
            writer.transport.abort()
        await daemon.stop()


async def run_processes(context: FloodContext, second) -> None:
    """The same with as many processes as there may be streams."""
    daemon, report = context.daemon, context.report
    await daemon.stop()
    await daemon.start(descriptors=(FEW_DESCRIPTORS, FEW_DESCRIPTORS))
    container = await context.docker.run("exec sleep 100000")
    await mirrored(context, [container])
    path = f"{EXEC}/{container}?command=cat&stdin=true&stdout=true&tty=true"

    def opening(tls):
        async def start(_: int) -> WebSocket:
            process = await connect(daemon, path, "v5.channel.k8s.io", tls)
            await process.send(b"".join(frame(BINARY, resize(columns)) for columns in range(RESIZES)))
            return process

        return start

    idle = daemon.descriptors()
    processes = [it for tls in (None, second) for it in await open_all(FEW_DESCRIPTORS // 4, opening(tls))]
    count = count_open(processes)
    report.add("processes of two users", count, "some", count > 0)

    async def used() -> bool:
        return daemon.descriptors() - idle <= DESCRIPTORS_OF_STREAM * count

    # The last sizes are still being sent.
    await until(used)
    each = (daemon.descriptors() - idle) / max(1, count)
    report.at_most("descriptors of a process", each, DESCRIPTORS_OF_STREAM)
    report.equal("a list of the containers then", (await daemon.request("GET", CONTAINERS)).status, 200)
    report.equal("lines in the log about no descriptors then", exhausted(daemon), 0)
    reset_all(processes)
    await quiet(daemon)


async def run(context: FloodContext) -> None:
    second = client_certificate(context, "second")
    engine = context.daemon.engine
    await share_streams(context, second)
    await share_connections(context, second)
    await share_sources(context, second)
    await run_out_of_descriptors(context, second)
    context.daemon.engine = engine
    await run_processes(context, second)
