"""Floods one daemon with clients of every kind, and checks that it withstands them.

Each part starts a daemon of its own and prints a table of figures. Exits with 1 if
one of them exceeds its limit.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from flood import caps, connections, many_logs, messages, protocol_cases, slow_clients, viewers
from flood.context import FloodContext
from flood.report import Report
from testbed.daemon import Daemon
from testbed.docker import Docker

PARTS = {
    "slow-clients": ("Slow clients without credentials", slow_clients.run),
    "messages": ("Oversized, fragmented, and invalid messages", messages.run),
    "connections": ("Connections that are opened and closed", connections.run),
    "viewers": ("Idle viewers of shared logs", viewers.run),
    "many-logs": ("The logs of many containers at once", many_logs.run),
    "caps": ("Limits of a user, and of all", caps.run),
    "protocol": ("The WebSocket protocol, case by case", protocol_cases.run),
}
LABEL = "rdd-floods"
SHOWN_PROBLEMS = 20


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        prog="scripts/floods", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "parts",
        nargs="*",
        choices=[[], *PARTS],
        metavar="PART",
        help=f"parts to run (default: all): {', '.join(PARTS)}",
    )
    options.add_argument("--short", action="store_true", help="a short form of each part")
    options.add_argument("--rdd", required=True, help="the program (default: target/release/rdd)")
    options.add_argument("--plugin-dir", help="directory with its backends (default: next to the program)")
    options.add_argument("--engine", required=True, help="socket of a Docker engine (default: a private one)")
    options.add_argument("--kubectl", required=True, help=argparse.SUPPRESS)
    return options.parse_args()


async def run_part(options: argparse.Namespace, name: str, work: Path) -> bool:
    """Runs one part; returns whether every figure keeps its limit."""
    title, run = PARTS[name]
    report = Report(f"{name}: {title}")
    daemon = Daemon(options.rdd, work / "state", options.engine, options.plugin_dir)
    docker = Docker(options.engine, f"{LABEL}-{os.getpid()}")
    await daemon.start()
    try:
        await run(FloodContext(daemon, docker, report, options.kubectl, work, options.short))
    except Exception:
        report.add("the part ran to its end", "no", "yes", False)
        traceback.print_exc()
    finally:
        await docker.remove()
        report.equal("the daemon's exit code", await daemon.stop(), 0)
    report.print()
    if not report.is_kept:
        for problem in daemon.problems()[-SHOWN_PROBLEMS:]:
            print(json.dumps(problem))
    return report.is_kept


async def main() -> int:
    options = arguments()
    # What was started is stopped on a signal, too.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    kept = []
    for name in options.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="rdd-floods-") as work:
            kept.append(await run_part(options, name, Path(work)))
    return 0 if all(kept) else 1


sys.exit(asyncio.run(main()))
