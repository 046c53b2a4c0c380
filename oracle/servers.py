"""Starts the two servers, each in a directory of its own, on free ports of this machine.

The reference is kube-apiserver with etcd, and with those controllers of kube-controller-manager whose work
rdd's API server does itself. The subject is rdd's daemon, with an engine that does not exist.
"""

import contextlib
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from client import Client, ConnectionFailure, Request

START_SECONDS = 180.0  # kube-apiserver creates its default roles, on a busy machine
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1
CONTROLLERS = "namespace-controller,garbage-collector-controller"
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Server:
    """One program, with its output in a file beside its directory."""

    def __init__(self, name: str, command: list, directory: Path):
        self.name, self.log = name, directory / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=directory)

    def check(self, since: float) -> None:
        """Ends the run if the program has exited, or does not become ready."""
        if self.process.poll() is not None or time.monotonic() > since + START_SECONDS:
            sys.exit(f"oracle: {self.name} did not start; the end of {self.log}:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class ReferenceServer:
    """kube-apiserver, with etcd and two controllers."""

    def __init__(self, programs: Path, directory: Path):
        self.programs, self.directory = programs, directory
        self.servers: list = []

    def start(self) -> Client:
        directory = self.directory
        directory.mkdir(mode=0o700)
        etcd, peer, port = free_ports(3)
        token = secrets.token_hex(16)
        (directory / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
        make_certificate(directory)
        self.run("etcd", "--data-dir", directory / "etcd", "--log-level", "warn",
                 "--listen-client-urls", f"http://127.0.0.1:{etcd}", "--advertise-client-urls", f"http://127.0.0.1:{etcd}",
                 "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                 "--initial-cluster", f"default=http://127.0.0.1:{peer}")  # fmt: skip
        self.run("kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", "--bind-address=127.0.0.1", f"--secure-port={port}",
                 "--tls-cert-file=tls.crt", "--tls-private-key-file=tls.key", "--token-auth-file=tokens.csv",
                 "--anonymous-auth=false", "--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24",
                 "--service-account-issuer=https://oracle.example", "--service-account-key-file=tls.key",
                 "--service-account-signing-key-file=tls.key", "--endpoint-reconciler-type=none")  # fmt: skip
        client = Client("kube-apiserver", port, token, directory / "tls.crt")
        wait_until_ready(client, self.servers)
        self.write_kubeconfig(port, token)
        self.run("kube-controller-manager", "--kubeconfig=kubeconfig", f"--controllers={CONTROLLERS}",
                 "--leader-elect=false", "--secure-port=0")  # fmt: skip
        return client

    def run(self, program: str, *arguments) -> None:
        self.servers.append(Server(program, [self.programs / program, *arguments], self.directory))

    def write_kubeconfig(self, port: int, token: str) -> None:
        """For kube-controller-manager, and for the benchmark."""
        (self.directory / "kubeconfig").write_text(
            f"""apiVersion: v1
kind: Config
current-context: oracle
clusters: [{{name: oracle, cluster: {{server: "https://127.0.0.1:{port}", certificate-authority: {self.directory}/tls.crt}}}}]
users: [{{name: oracle, user: {{token: {token}}}}}]
contexts: [{{name: oracle, context: {{cluster: oracle, user: oracle}}}}]
"""
        )

    def stop(self) -> None:
        for server in reversed(self.servers):
            server.stop()


class SubjectServer:
    """rdd's daemon."""

    def __init__(self, rdd: Path, directory: Path):
        self.rdd, self.directory = rdd, directory
        self.servers: list = []

    def start(self) -> Client:
        self.directory.mkdir(mode=0o700)
        state = self.directory / "state"
        command = [self.rdd, "serve", "--state-dir", state, "--no-web", "--plugin-dir", self.directory / "no-plugins",
                   "--engine-endpoint", f"unix://{self.directory}/no-engine.sock"]  # fmt: skip
        self.servers.append(Server("rdd", command, self.directory))
        since = time.monotonic()
        while not (state / "kubeconfig").exists():
            self.servers[0].check(since)
            time.sleep(POLL_SECONDS)
        found = re.search(r"https://127\.0\.0\.1:([0-9]+)", (state / "kubeconfig").read_text())
        if not found:
            sys.exit(f"oracle: {state}/kubeconfig has no address on this machine")
        return Client("rdd", int(found[1]), (state / "token").read_text().strip(), state / "tls" / "ca.crt")

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


def free_ports(count: int) -> list:
    """Returns ports that are free now; another program may take one in between, which ends the run."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def make_certificate(directory: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=oracle"]
    # Not of an authority, as openssl makes it by default: the benchmark's client would not accept that of a server.
    command += ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", NAMES, "-keyout", "tls.key", "-out", "tls.crt"]
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until_ready(client: Client, servers: list) -> None:
    since = time.monotonic()
    while True:
        with contextlib.suppress(ConnectionFailure):
            # The default namespace comes last.
            if all(client.send(Request("GET", path, {})).status == 200 for path in ("/readyz", "/api/v1/namespaces/default")):
                return
        for server in servers:
            server.check(since)
        time.sleep(POLL_SECONDS)
