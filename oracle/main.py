"""Compares rdd's API server with kube-apiserver: scenarios, then random sequences of requests.

Exits with 1 if they differ where docs/differences.md has no row for it. In Python with its standard library
alone, like the other tools that run servers: nothing is to be compiled after a change of a scenario.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import scenario
import sequences
from client import ConnectionFailure
from servers import ReferenceServer, SubjectServer

HERE = Path(__file__).parent
SCENARIOS, DIFFERENCES = HERE / "scenarios", HERE.parent / "docs" / "differences.md"
# Requests of a sequence: few enough that most of them find an object in an interesting state.
SEQUENCE_LENGTH = 40
# Of the benchmark; each leaves more than 12,000 objects.
BENCH_ROUNDS = 3


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        prog="scripts/oracle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("command", nargs="?", choices=("all", "scripts", "random", "bench", "serve"), default="all",
                         help="what to do (default: scripts, then random); `serve` starts both and waits")  # fmt: skip
    options.add_argument("--seed", type=int, default=int(time.time()), help="seed of the random sequences (default: the time)")
    options.add_argument("--steps", type=int, default=4000, help="number of random requests (default: 4000)")
    options.add_argument("--length", type=int, default=SEQUENCE_LENGTH, help=f"requests of a sequence (default: {SEQUENCE_LENGTH})")
    options.add_argument("--scenario", default="", help="only scenarios whose name has this text")
    options.add_argument("--keep", type=Path, help="new directory for the logs of the servers, which is kept")
    options.add_argument("--rdd", type=Path, required=True, help="the program (default: target/release/rdd)")
    options.add_argument("--servers", type=Path, required=True, help=argparse.SUPPRESS)
    options.add_argument("--bench", type=Path, help=argparse.SUPPRESS)
    return options.parse_args()


def run_scenarios(options: argparse.Namespace, clients: tuple) -> int:
    """Returns the number of unexpected differences."""
    rows = scenario.documented_rows(DIFFERENCES)
    steps = failures = 0
    for path in sorted(SCENARIOS.glob("*.http")):
        if options.scenario not in path.stem:
            continue
        each = scenario.read(path)
        steps += len(each.steps)
        try:
            for text in scenario.run(each, *clients, rows):
                failures += 1
                print(f"DIFFERENT {text}", flush=True)
        except (scenario.ScenarioError, ConnectionFailure) as error:
            failures += 1
            print(f"BROKEN {each.name}: {error}", flush=True)
    print(f"scenarios: {steps} steps, {failures} unexpected differences", flush=True)
    return failures


def run_sequences(options: argparse.Namespace, clients: tuple) -> int:
    rows = scenario.documented_rows(DIFFERENCES)
    if missing := [row for row, _ in sequences.KNOWN if row not in rows]:
        sys.exit(f"oracle: docs/differences.md has no row {missing[0]!r}, which KNOWN in oracle/sequences.py names")
    print(f"random sequences: --seed {options.seed} --steps {options.steps} --length {options.length}", flush=True)
    runner = sequences.SequenceRunner(*clients)
    done, reports = sequences.run(runner, options.seed, options.steps, options.length)
    print(f"random sequences: {done} requests, {len(reports)} unexpected differences", flush=True)
    return len(reports)


def main() -> int:
    options = arguments()
    # Otherwise the servers would outlive a run that is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="rdd-oracle-") as temporary:
        directory = options.keep or Path(temporary)
        directory.mkdir(exist_ok=True)
        directory = directory.resolve()
        reference = ReferenceServer(options.servers, directory / "reference")
        subject = SubjectServer(options.rdd.resolve(), directory / "subject")
        try:
            if options.command == "bench":
                reference.start()
                kubeconfig = directory / "reference" / "kubeconfig"
                return subprocess.run([options.bench, "--rdd", options.rdd, "--rival-kubeconfig", kubeconfig,
                                       "--work-dir", directory, "--rounds", str(BENCH_ROUNDS)]).returncode  # fmt: skip
            clients = (reference.start(), subject.start())
            if options.command == "serve":
                print(f"kube-apiserver: {directory}/reference/kubeconfig\nrdd: {directory}/subject/state/kubeconfig\nEnter stops them.", flush=True)
                sys.stdin.readline()
                return 0
            failures = 0
            if options.command in ("all", "scripts"):
                failures += run_scenarios(options, clients)
            if options.command in ("all", "random"):
                failures += run_sequences(options, clients)
            return 1 if failures else 0
        finally:
            subject.stop()
            reference.stop()


if __name__ == "__main__":
    sys.exit(main())
