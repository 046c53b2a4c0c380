"""A Docker Engine API on a Unix socket with an extreme number of images and
nothing else: python large_engine.py SOCKET IMAGES TAGS [CONTAINERS]

Objects are as large as real ones with labels. Runs until it is killed.
"""

import asyncio
import json
import re
import sys

SOCKET, IMAGES, TAGS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
CONTAINERS = int(sys.argv[4]) if len(sys.argv) > 4 else 0
LABELS = {"description": "x" * 1000}


def image_id(number: int) -> str:
    return f"sha256:{number:064x}"


def container_id(number: int) -> str:
    return f"{number + 1:064x}"


def images():
    return [
        {
            "Id": image_id(n),
            "RepoTags": [f"registry.example/image-{n}:{tag}" for tag in range(TAGS)],
            "RepoDigests": [f"registry.example/image-{n}@{image_id(n)}"],
            "Created": 1_700_000_000,
            "Size": 5,
            "Labels": LABELS,
        }
        for n in range(IMAGES)
    ]


def image(identity: str):
    return {
        "Id": identity,
        "Created": "2026-01-01T00:00:00Z",
        "Architecture": "arm64",
        "Os": "linux",
        "Size": 5,
        "Config": {"Labels": LABELS},
    }


def containers():
    return [
        {"Id": container_id(n), "Names": [f"/c{n}"], "Image": "i", "ImageID": image_id(0), "State": "running", "Labels": LABELS}
        for n in range(CONTAINERS)
    ]


def container(identity: str):
    return {
        "Id": identity,
        "Name": f"/c{int(identity, 16) - 1}",
        "Created": "2026-01-01T00:00:00Z",
        "Image": image_id(0),
        "Path": "sleep",
        "Args": ["1000"],
        "State": {"Status": "running", "Running": True, "Pid": 1, "StartedAt": "2026-01-01T00:00:00Z"},
        "Config": {"Tty": False, "Image": "i", "Labels": LABELS},
        "HostConfig": {"LogConfig": {"Type": "json-file"}},
        "NetworkSettings": {"Ports": {}},
    }


FIXED = {
    "/_ping": lambda: "OK",
    "/version": lambda: {"ApiVersion": "1.41", "MinAPIVersion": "1.24", "Version": "20.10.0"},
    "/info": dict,
    "/images/json": images,
    "/containers/json": containers,
    "/volumes": lambda: {"Volumes": []},
    "/events": lambda: None,
}
ONE = {"images": image, "containers": container}


def answer(path: str):
    """Returns the resource at the path; None is a stream that never sends anything."""
    path = re.sub(r"^/v1\.[0-9]+", "", path)
    if path in FIXED:
        return FIXED[path]()
    named = re.fullmatch(r"/(images|containers)/(.+)/json", path)
    if named:
        return ONE[named[1]](named[2])
    raise LookupError(path)


async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split(b" ", 2)[1].decode().split("?")[0]
            try:
                status, body = "200 OK", answer(path)
            except LookupError:
                status, body = "404 Not Found", {"message": f"there is no {path}"}
            head = f"HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n"
            if body is None:
                writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
                await writer.drain()
                await reader.read()
                return
            content = json.dumps(body).encode()
            writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the daemon has closed the connection
    finally:
        writer.close()


async def main():
    server = await asyncio.start_unix_server(serve, SOCKET)
    async with server:
        await server.serve_forever()


asyncio.run(main())
