"""A backend for the toy engine: what the contract asks, in terms of the engine.

To write a backend for another engine, replace what says `toy` here and in
plugin.toml, and then the requests and the conversions below.
"""

from datetime import datetime, timezone
from functools import partial
from itertools import groupby

import wit_world
from componentize_py_async_support import spawn
from componentize_py_types import Err, Ok
from connection import Connection, failure
from wit_world import exports
from wit_world.exports import engine, lifecycle, logs
from wit_world.imports import types

INTERNAL = types.ErrorCode_Internal()
UNSUPPORTED = types.ErrorCode_Unsupported()

KINDS = {kind.name.lower(): kind for kind in types.ObjectKind}
ACTIONS = {action: action.name.lower() for action in lifecycle.Action}
STATES = {state.name.lower(): state for state in types.ContainerState}
SOURCES = {source.name.lower(): source for source in types.OutputSource}
GAPS = {reason.name.lower(): reason for reason in logs.GapReason}

MAX_BATCH_BYTES = 64 * 1024
MAX_BATCH_ENTRIES = 4096
MAX_BATCH_EVENTS = 256


class Engine(exports.Engine):
    def describe(self):
        can = engine.Capabilities
        return engine.BackendInfo(
            name="toy-python",
            version="0.1.0",
            engine="Toy Engine",
            id_form=engine.IdForm_Identifier(64),
            namespaces=["main", "other"],
            capabilities=can.LOGS | can.ENTRIES | can.ENTRY_TIMES | can.ACTIONS | can.REMOVALS,
        )

    async def watch(self, stop):
        connection = await Connection.open(stop, ["watch"])
        return respond(wit_world.engine_event_stream(), copy_events, connection)

    async def ping(self):
        with await Connection.open(None, ["ping"]):
            pass

    async def inspect(self, ref, stop):
        kind = ref.kind.name.lower()
        with await Connection.open(stop, ["inspect", kind, ref.namespace, ref.id]) as connection:
            block = await connection.block()
            raw = next((line[1] for line in block if line[0] == "raw"), "")
            return engine.Inspection(parse_object(block), raw)


class Logs(exports.Logs):
    async def get_logs(self, container, options, stop):
        connection = await open_log(container, options, stop)
        copy = partial(copy_chunks, timestamps=options.timestamps)
        return respond(wit_world.types_output_chunk_stream(), copy, connection)

    async def get_entries(self, container, options, stop):
        connection = await open_log(container, options, stop)
        return respond(wit_world.logs_entry_batch_stream(), copy_entries, connection)


class Lifecycle(exports.Lifecycle):
    async def act(self, container, action, stop):
        await call(stop, "act", container.namespace, container.id, ACTIONS[action])

    async def remove(self, removal, stop):
        match removal.target:
            case lifecycle.RemovalTarget_Container(id):
                target = ["container", removal.namespace, id]
            case lifecycle.RemovalTarget_ImageTag((tag, image_id)):
                target = ["tag", removal.namespace, tag, image_id]
            case lifecycle.RemovalTarget_Image(id):
                target = ["image", removal.namespace, id]
            case lifecycle.RemovalTarget_Volume((name, created_at)):
                created = str(nanoseconds(created_at)) if created_at else ""
                target = ["volume", removal.namespace, name, created]
        await call(stop, "remove", *target)

    # `describe` does not have these capabilities, so the host never calls them.

    async def create_container(self, spec, stop):
        raise failure(UNSUPPORTED, "this backend creates no containers")

    async def create_volume(self, spec, stop):
        raise failure(UNSUPPORTED, "this backend creates no volumes")


async def call(stop, *request):
    """Sends a request whose response is nothing but `ok`."""
    with await Connection.open(stop, request):
        pass


def respond(ends, copy, connection):
    """Returns a stream that `copy` fills after the call has returned."""
    writer, stream = ends
    end_writer, end = wit_world.result_unit_types_error_future(lambda: Ok(None))

    async def run():
        result = Ok(None)
        with connection, writer:
            try:
                await copy(connection, writer)
            except Err as error:
                result = Err(error.value)  # without its traceback, which would keep everything
        await end_writer.write(result)

    spawn(run())
    return stream, end


async def copy_events(connection, writer):
    """Copies the changes that the engine reports."""
    events = []
    while not writer.reader_dropped:
        match await connection.line():
            case ["begin"]:
                events.append(engine.Event_InitBegin())
            case ["ready"]:
                events.append(engine.Event_InitDone())
            case ["removed", kind, namespace, id]:
                events.append(engine.Event_Removed(types.ObjectRef(KINDS[kind], namespace, id)))
            case line:
                block = [line, *await connection.block()]
                events.append(engine.Event_Applied(parse_object(block)))
        if len(events) >= MAX_BATCH_EVENTS or not connection.has_line():
            await writer.write_all(events)
            events = []


def open_log(container, options, stop):
    """Requests a log with options that both of its forms have."""
    request = [["logs", container.namespace, container.id]]
    for word in ("follow", "stdout", "stderr"):
        if getattr(options, word):
            request.append([word])
    if options.tail is not None:
        request.append(["tail", str(options.tail)])
    for word in ("since", "until"):
        if time := getattr(options, word):
            request.append([word, str(nanoseconds(time))])
    if after := getattr(options, "after", None):
        request.append(["after", str(after.time), str(after.index)])
    return Connection.open(stop, *request)


async def read_batches(connection):
    """Yields the entries of a log that are available: a gap or None, and a list
    of (time, source, is_partial, bytes)."""
    batch, size = [], 0
    while (line := await connection.line()) != ["done"]:
        if line[0] == "gap":
            if batch:
                yield None, batch
            yield GAPS.get(line[1], logs.GapReason.UNKNOWN), []
            batch, size = [], 0
            continue
        _, time, source, end, length = line
        if size + int(length) > MAX_BATCH_BYTES:
            yield None, batch
            batch, size = [], 0
        batch.append((int(time), source, end == "part", await connection.payload(int(length))))
        size += int(length)
        if len(batch) == MAX_BATCH_ENTRIES or not connection.has_line():
            yield None, batch
            batch, size = [], 0
    if batch:
        yield None, batch


async def copy_entries(connection, writer):
    """Copies a log as entries."""
    async for gap, entries in read_batches(connection):
        headers = [
            logs.EntryHeader(time, len(data), (source == "stderr") | is_partial << 1)
            for time, source, is_partial, data in entries
        ]
        data = b"".join(data for *_, data in entries)
        await writer.write_all([logs.EntryBatch(gap, headers, data)])
        if writer.reader_dropped:
            return


async def copy_chunks(connection, writer, timestamps):
    """Copies a log as bytes."""
    continues = {"stdout": False, "stderr": False}
    async for _, entries in read_batches(connection):
        chunks = []
        for source, group in groupby(entries, key=lambda entry: entry[1]):
            data = b""
            for time, _, is_partial, line in group:
                if timestamps and not continues[source]:
                    data += rfc3339(time)
                data += line if is_partial else line + b"\n"
                continues[source] = is_partial
            for start in range(0, len(data), MAX_BATCH_BYTES):
                piece = data[start : start + MAX_BATCH_BYTES]
                chunks.append(types.OutputChunk(SOURCES[source], piece))
        await writer.write_all(chunks)
        if writer.reader_dropped:
            return


def parse_object(block):
    """Converts an object of the engine to one of the contract."""
    one = {line[0]: line[1] for line in block if len(line) == 2}
    words = {line[0] for line in block if len(line) == 1}
    every = lambda word: [line[1] for line in block if line[0] == word]
    pairs = lambda word: [(line[1], line[2]) for line in block if line[0] == word]
    text = lambda word: one.get(word, "")
    number = lambda word: int(one.get(word, "0"))
    time = lambda word: timestamp(int(one[word])) if word in one else None
    match block[0]:
        case ["container"]:
            ports = [
                types.Port(port, [types.PortBinding(*line[2:]) for line in block if line[:2] == ["binding", port]])
                for port in every("port")
            ]
            return types.Object_Container(
                types.Container(
                    id=text("id"),
                    name=text("name"),
                    namespace=text("namespace"),
                    path=text("path"),
                    args=every("arg"),
                    image_id=text("image-id"),
                    image_name=text("image"),
                    labels=pairs("label"),
                    state=STATES.get(text("state"), types.ContainerState.UNKNOWN),
                    pid=number("pid"),
                    exit_code=number("exit-code"),
                    error=text("error"),
                    created_at=time("created"),
                    started_at=time("started"),
                    finished_at=time("finished"),
                    ports=ports,
                    running="running" in words,
                    paused="paused" in words,
                    restarting="restarting" in words,
                    oom_killed="oom-killed" in words,
                    dead="dead" in words,
                    tty="tty" in words,
                )
            )
        case ["image"]:
            return types.Object_Image(
                types.Image(
                    id=text("id"),
                    namespace=text("namespace"),
                    repo_tags=every("tag"),
                    repo_digests=every("digest"),
                    created_at=time("created"),
                    architecture=text("architecture"),
                    os=text("os"),
                    size=number("size"),
                    labels=pairs("label"),
                )
            )
        case ["volume"]:
            return types.Object_Volume(
                types.Volume(
                    name=text("name"),
                    namespace=text("namespace"),
                    created_at=time("created"),
                    driver=text("driver"),
                    mountpoint=text("mountpoint"),
                    labels=pairs("label"),
                    scope=text("scope"),
                    options=pairs("option"),
                )
            )
        case ["namespace"]:
            return types.Object_Namespace(text("name"))
        case line:
            raise failure(INTERNAL, f"the engine sent an object of the kind {line[0]!r}")


def timestamp(nanoseconds):
    return types.Timestamp(*divmod(nanoseconds, 10**9))


def nanoseconds(timestamp):
    return timestamp.seconds * 10**9 + timestamp.nanoseconds


def rfc3339(nanoseconds):
    seconds, rest = divmod(nanoseconds, 10**9)
    date = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{date:%Y-%m-%dT%H:%M:%S}.{rest:09}Z ".encode()
