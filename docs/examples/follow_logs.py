"""Follows the logs of several containers over one WebSocket. When the connection is lost, it connects again, and
neither loses nor repeats a line. After `pip install websockets`, with LOGS and DIR as in docs/passthrough.md:

    python3 follow_logs.py NAME… | --selector LABELS | --project NAME

A line goes to the stream that it was written to, after the container's name; an event to standard error, after "#".
It ends when the containers that were named have been removed."""

import asyncio, functools, json, os, random, ssl, struct, sys, types, urllib.request
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

CREDIT = 256 * 1024  # bytes of entries that may be on their way to the output
CURSORS = 6  # in a message: one has at most 4 KiB, a container with its cursor about 500 bytes
MAX_LOGS = 512  # whose cursors are kept
MAX_LINE = 1024 * 1024  # bytes; longer lines are divided
TEMPORARY = (429, 502, 503, 1001, 1006, 1011, 1013)  # statuses and close codes; 1006: no close frame
LOGS, DIR = os.environ["LOGS"], os.environ["DIR"]
TLS = ssl.create_default_context(cafile=f"{DIR}/tls/ca.crt")
HEADERS = {"Authorization": f"Bearer {open(f'{DIR}/token').read().strip()}"}
note = functools.partial(print, "#", file=sys.stderr, flush=True)
subscriptions = {}  # by id, until they end
logs = {}  # by Container object, over all connections: name, cursor, has_left, lines without their end
state = types.SimpleNamespace(delay=0.5, status=0)  # seconds before the next connection, exit status


def find_containers(names):  # Subscriptions take the names of Container objects, not the containers' own.
    url = LOGS.split("/passthrough")[0] + "/apis/containers.rancherdesktop.io/v1alpha1/containers"
    with urllib.request.urlopen(urllib.request.Request(url, headers=HEADERS), context=TLS) as response:
        objects = {item["status"].get("name"): item["metadata"]["name"] for item in json.load(response)["items"]}
    if unknown := [name for name in names if name not in objects]:
        sys.exit(f'# there is no container with the name "{unknown[0]}"')
    return [{"container": objects[name]} for name in names]


async def follow():  # Follows until all subscriptions have ended. Fails if the connection ends before.
    url, options = LOGS.replace("https", "wss"), {"ssl": TLS, "additional_headers": HEADERS}
    # The credit limits how many messages wait: the library reads all of them, and answers pings meanwhile.
    async with connect(url, subprotocols=["rdd.logs-mux.v1"], max_queue=None, **options) as socket:
        sources = {}  # logs by their numbers on this connection
        for id, selection in subscriptions.items():
            await subscribe(socket, id, selection)
        while subscriptions:
            message = await socket.recv()
            if isinstance(message, str):
                handle_event(sources, **json.loads(message))
            else:
                id, source = struct.unpack_from(">II", message)
                cost = await asyncio.to_thread(print_entries, sources[source], message[8:])
                await socket.send(json.dumps({"op": "credit", "id": id, "bytes": cost}))
                state.delay = 0.5


async def subscribe(socket, id, selection):
    cursors = {key: log.cursor for key, log in logs.items() if log.cursor and selection.get("container", key) == key}
    while len(cursors) > CURSORS:
        part = [cursors.popitem() for _ in range(CURSORS)]
        await socket.send(json.dumps({"op": "cursors", "id": id, "cursors": dict(part)}))
    request = {"op": "subscribe", "id": id, "follow": "restart", "credit": CREDIT, "cursors": cursors}
    await socket.send(json.dumps(request | selection))


def handle_event(sources, type, id, source=None, container=None, name=None, labels=None, **details):
    if type == "joined":
        sources[source] = log = logs.setdefault(container, types.SimpleNamespace(name="", cursor="", lines=[b"", b""]))
        log.name, log.has_left = name or log.name, False
        if len(logs) > MAX_LOGS:
            logs.pop(next((key for key, log in logs.items() if log.has_left), None), None)
    log = sources.get(source)
    note(log.name if log else f"subscription {id}", type, *details.values())  # times, exit codes, reasons
    if type == "left":
        log.has_left = True  # its cursor is kept: it joins again if only the engine failed
    for output in (0, 1) if type in ("left", "gap") else ():
        if log.lines[output]:
            print_line(log, output)
    if type == "error" and details["code"] in TEMPORARY:
        raise ConnectionError(details["message"])
    if type in ("error", "end"):
        subscriptions.clear() if id is None else subscriptions.pop(id)  # none: a message was not understood
        state.status |= type == "error"


def print_entries(log, data):  # Returns their cost.
    cost, at = 0, 1 + data[0]
    log.cursor = data[1:at].decode()
    while at < len(data):  # a time (8 bytes), flags (1), a length (4), and the bytes
        flags, length = struct.unpack_from(">8xBI", data, at)
        output, is_partial = flags & 1, flags & 2
        log.lines[output] += data[at + 13 : at + 13 + length]
        if not is_partial or len(log.lines[output]) > MAX_LINE:
            print_line(log, output)
        cost, at = cost + max(1, length), at + 13 + length
    return cost


def print_line(log, output):
    stream = (sys.stdout, sys.stderr)[output].buffer
    stream.write(b"%s | %s\n" % (log.name.encode(), log.lines[output]))
    stream.flush()
    log.lines[output] = b""


async def main(option, *values):
    selections = [{option[2:]: values[0]}] if option.startswith("--") else find_containers([option, *values])
    subscriptions.update(enumerate(selections))
    while subscriptions:
        try:
            await follow()
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            response, close = getattr(error, "response", None), getattr(error, "rcvd", None)
            code = response.status_code if response else close.code if close else 1006
            if code not in TEMPORARY or isinstance(error, BrokenPipeError):  # that of the output
                sys.exit(f"# {error}")
            note(f"{error}; connecting again")
            await asyncio.sleep(state.delay * random.uniform(0.5, 1))
            state.delay = min(30, 2 * state.delay)
    sys.exit(state.status)


asyncio.run(main(*sys.argv[1:]))
