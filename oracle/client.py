"""An HTTP/1.1 client for one API server, with one connection that is kept open."""

import contextlib
import http.client
import json
import ssl
from pathlib import Path
from typing import Any, NamedTuple, Optional

# A kube-apiserver that was just started may need seconds for a request
TIMEOUT_SECONDS = 60.0
# The default field manager is made from this
USER_AGENT = "oracle/1.0"


class ConnectionFailure(Exception):
    """A request without a response."""


class Request(NamedTuple):
    """A request, as it is sent to both servers."""

    method: str
    path: str
    headers: dict
    body: Optional[bytes] = None


class Response(NamedTuple):
    """A response, with the names of its headers in lower case."""

    status: int
    headers: dict
    body: bytes

    def json(self) -> Any:
        """Returns the body as JSON: a watch is the list of its events. None if it is not JSON."""
        with contextlib.suppress(ValueError):
            return json.loads(self.body)
        with contextlib.suppress(ValueError):
            return [json.loads(line) for line in self.body.splitlines()]
        return None


class Client:
    """A client of a server on this machine."""

    def __init__(self, name: str, port: int, token: str, authority: Path):
        self.name, self.port, self.token = name, port, token
        self.tls = ssl.create_default_context(cafile=str(authority))
        self.connection: Optional[http.client.HTTPSConnection] = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def send(self, request: Request) -> Response:
        """Sends a request, and reads its response to the end."""
        headers = {"Authorization": f"Bearer {self.token}", "User-Agent": USER_AGENT, "Accept": "application/json"}
        for name, value in request.headers.items():
            headers[name.title()] = value
        if self.connection is None:
            self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS, context=self.tls)
        try:
            self.connection.request(request.method, request.path, request.body, headers)
            response = self.connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionFailure(f"{self.name}: {request.method} {request.path}: {error!r}") from error
        if response.will_close:
            self.close()
        fields: dict = {}
        for name, value in response.getheaders():
            fields.setdefault(name.lower(), []).append(value)
        return Response(response.status, {name: ", ".join(values) for name, values in fields.items()}, body)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
