"""The WebSocket protocol, case by case, in the sections of Autobahn's test suite,
which itself runs on Python 2 only and expects an echo.

The multiplexer is the echo: it answers each message that is no valid request with an
`error` 400 whose id is null, and quotes an `op` that it does not have. Messages have at
most 4 KiB there, so the sizes of section 1 and 9 above that must be closed with 1009.
Larger messages, fragments, and pieces of section 9 and 10 go to a process (`cat`),
which returns them.

Covered: 1 framing, 2 pings and pongs, 3 reserved bits, 4 opcodes, 5 fragmentation,
6 UTF-8, 7 closing with all codes, 9 limits and round trips, 10 automatic fragmentation.
Not covered: 9 above 1 MiB, which is the limit of a message; 12 and 13, compression,
which is never negotiated (only this is checked).
"""

import asyncio
from collections import Counter

from flood.case import Case, CaseError, run_case
from flood.case_list import EXEC_CASES, MUX_CASES
from flood.context import FloodContext, mirrored, until
from flood.mux import SUBPROTOCOL
from flood.websocket import LOST, connect
from testbed.daemon import EXEC, LOGS

AT_ONCE = 8
SHORT_SECTIONS = "123457"  # of the short form, with every third case of the others


async def try_case(context: FloodContext, case: Case, path: str, subprotocol) -> str | None:
    """Runs a case; returns what was wrong."""
    socket = await connect(context.daemon, path, subprotocol)
    try:
        await run_case(socket, case)
    except (CaseError, asyncio.TimeoutError, *LOST) as error:
        return f"{case.number} {case.name}: {error or type(error).__name__}"
    finally:
        socket.reset()
    return None


async def run(context: FloodContext) -> None:
    container = await context.docker.run("exec sleep 100000")
    await mirrored(context, [container])
    cat = f"{EXEC}/{container}?command=cat&stdin=true&stdout=true"
    cases = [(case, LOGS, SUBPROTOCOL) for case in MUX_CASES] + [(case, cat, None) for case in EXEC_CASES]
    if context.is_short:
        cases = [it for at, it in enumerate(cases) if it[0].number[0] in SHORT_SECTIONS or at % 3 == 0]
    passed, wrong, todo = Counter(), [], iter(cases)

    async def runner() -> None:
        for case, path, subprotocol in todo:
            section = case.number.partition(".")[0]
            if fault := await try_case(context, case, path, subprotocol):
                wrong.append((section, fault))
            else:
                passed[section] += 1

    await asyncio.gather(*(runner() for _ in range(AT_ONCE)))
    for section in sorted({case.number.partition(".")[0] for case, *_ in cases}, key=int):
        failed = [fault for its, fault in wrong if its == section]
        total = passed[section] + len(failed)
        context.report.equal(f"section {section}: cases that failed, of {total}", len(failed), 0)
        for fault in failed:
            context.report.add(f"  {fault}", "", "", False)

    async def is_quiet() -> bool:
        return await context.daemon.metric("rdd_log_sessions") == 0

    quiet, _ = await until(is_quiet)
    context.report.equal("sessions that stay", not quiet, False)
