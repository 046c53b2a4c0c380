"""The cases, in the order of the sections of Autobahn's test suite."""

import struct

from flood.case import PAUSE, Bytes, Case, Closed, Echo, Pong, Pongs, PossibleEcho, Send
from flood.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, frame

LIMIT = 4096  # of a message to the multiplexer in bytes
EXEC_LIMIT = 1024 * 1024
PROTOCOL, NOT_UTF8, TOO_BIG = Closed((1002,)), Closed((1007,)), Closed((1009,))


def named(text: str) -> bytes:
    """A message whose answer quotes the text."""
    return b'{"op":"' + text.encode() + b'"}'


def text(content: str, **options) -> bytes:
    return frame(TEXT, named(content), **options)


def fragments(data: bytes, size: int, opcode: int = TEXT) -> list:
    """The frames of a message in pieces of this size."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    last = len(pieces) - 1
    return [frame(opcode if at == 0 else CONTINUATION, piece, at == last) for at, piece in enumerate(pieces)]


def chopped(data: bytes) -> list:
    """The ways in which bytes arrive: at once, and byte by byte."""
    return [("", Send(data)), (", byte by byte", Send(data, 1))]


def framing() -> list:
    found = []
    for section, opcode in (("1.1", TEXT), ("1.2", BINARY)):
        for number, size in enumerate((0, 125, 126, 127, 128, LIMIT - 1, LIMIT), 1):
            found.append(
                Case(f"{section}.{number}", f"a message of {size} bytes", [Send(frame(opcode, b"*" * size)), Echo()])
            )
        found.append(Case(f"{section}.8", "128 bytes, byte by byte", [Send(frame(opcode, b"*" * 128), 1), Echo()]))
        for number, size in enumerate((LIMIT + 1, 65535, 65536), 9):
            found.append(
                Case(f"{section}.{number}", f"a message of {size} bytes", [Send(frame(opcode, b"*" * size)), TOO_BIG])
            )
    return found


def pings() -> list:
    numbered = [b"payload-%d" % number for number in range(10)]
    ten = b"".join(frame(PING, payload) for payload in numbered)
    return [
        Case("2.1", "a ping without payload", [Send(frame(PING)), Pong(b"")]),
        Case("2.2", "a ping with text", [Send(frame(PING, b"Hello, world!")), Pong(b"Hello, world!")]),
        Case("2.3", "a ping with other bytes", [Send(frame(PING, b"\0\xff\xfe\xfd")), Pong(b"\0\xff\xfe\xfd")]),
        Case("2.4", "a ping of 125 bytes", [Send(frame(PING, b"\xfe" * 125)), Pong(b"\xfe" * 125)]),
        Case("2.5", "a ping of 126 bytes", [Send(frame(PING, b"\xfe" * 126)), PROTOCOL]),
        Case("2.6", "a ping of 125 bytes, byte by byte", [Send(frame(PING, b"\xfe" * 125), 1), Pong(b"\xfe" * 125)]),
        Case("2.7", "a pong without payload that nobody asked for", [Send(frame(PONG))]),
        Case("2.8", "a pong that nobody asked for", [Send(frame(PONG, b"unsolicited"))]),
        Case("2.9", "such a pong, then a ping", [Send(frame(PONG, b"unsolicited") + frame(PING, b"p")), Pong(b"p")]),
        Case("2.10", "ten pings", [Send(ten), Pongs(numbered)]),
        Case("2.11", "ten pings, byte by byte", [Send(ten, 1), Pongs(numbered)]),
    ]


def reserved_bits() -> list:
    found = [
        Case("3.1", "reserved bits 1", [Send(text("x", reserved=1)), PROTOCOL]),
    ]
    for number, piece in (("3.2", 0), ("3.3", 16), ("3.4", 1)):
        data = text("one") + text("two", reserved=2) + frame(PING)
        found.append(
            Case(
                number,
                f"reserved bits 2 after a text, pieces of {piece}",
                [Send(data, piece), PossibleEcho("one"), PROTOCOL],
            )
        )
    found += [
        Case("3.5", "reserved bits 5 of a binary message", [Send(frame(BINARY, b"\0\xff", reserved=5)), PROTOCOL]),
        Case("3.6", "reserved bits 6 of a ping", [Send(frame(PING, reserved=6)), PROTOCOL]),
        Case("3.7", "reserved bits 7 of a close frame", [Send(frame(CLOSE, b"\x03\xe8", reserved=7)), PROTOCOL]),
    ]
    return found


def opcodes() -> list:
    found = []
    for section, codes in (("4.1", range(3, 8)), ("4.2", range(11, 16))):
        for number, code in enumerate(codes, 1):
            payload = b"x" if number in (2, 5) else b""
            if number < 3:
                steps = [Send(frame(code, payload)), PROTOCOL]
            else:
                steps = [
                    Send(text("one") + frame(code, payload) + frame(PING), 0 if number == 3 else 1),
                    PossibleEcho("one"),
                    PROTOCOL,
                ]
            found.append(Case(f"{section}.{number}", f"opcode {code}", steps))
    return found


def fragmentation() -> list:
    found = []

    def add(number: str, name: str, *steps) -> None:
        found.append(Case(number, name, list(steps)))

    first, second = fragments(named("two fragments"), 12)
    ping = frame(PING, b"between")
    nothing, unfinished = frame(CONTINUATION, b"x"), frame(CONTINUATION, b"x", is_last=False)
    add("5.1", "a ping in fragments", Send(frame(PING, b"a", is_last=False) + frame(CONTINUATION, b"b")), PROTOCOL)
    add("5.2", "a pong in fragments", Send(frame(PONG, b"a", is_last=False) + frame(CONTINUATION, b"b")), PROTOCOL)
    for number, piece, pause in ((3, 0, 0), (4, len(first), PAUSE), (5, 1, 0)):
        add(
            f"5.{number}",
            f"two fragments, pieces of {piece}",
            Send(first + second, piece, pause),
            Echo("two fragments"),
        )
    for number, piece, pause in ((6, 0, 0), (7, len(first), PAUSE), (8, 1, 0)):
        data = first + ping + second
        add(
            f"5.{number}",
            f"a ping between fragments, pieces of {piece}",
            Send(data, piece, pause),
            Pong(b"between"),
            Echo("two fragments"),
        )
    for number, name, wrong in ((9, "the end", nothing), (12, "a continuation", unfinished)):
        for offset, piece in enumerate((0, len(wrong), 1)):
            add(
                f"5.{number + offset}",
                f"{name} of nothing, pieces of {piece}",
                Send(wrong + text("late"), piece),
                PROTOCOL,
            )
    add(
        "5.15",
        "a continuation after the end",
        Send(first + second + unfinished + text("late")),
        PossibleEcho("two fragments"),
        PROTOCOL,
    )
    add("5.16", "a continuation of nothing and its text, repeatedly", Send((unfinished + text("x")) * 2), PROTOCOL)
    add("5.17", "the end of nothing and a text, repeatedly", Send((nothing + text("x")) * 2), PROTOCOL)
    add("5.18", "a text within a text", Send(first + text("x")), PROTOCOL)
    for number, pause in ((19, 0.0), (20, PAUSE)):
        parts = fragments(named("five fragments"), 5)
        begin, rest = b"".join(parts[:2]), b"".join(parts[2:4])
        add(
            f"5.{number}",
            f"fragments with two pings, {pause} s between",
            *(Send(begin, 0, pause), Send(frame(PING, b"1"), 0, pause), Pong(b"1")),
            *(Send(rest, 0, pause), Send(frame(PING, b"2"), 0, pause), Pong(b"2")),
            *(Send(b"".join(parts[4:])), Echo("five fragments")),
        )
    return found


# Text of characters of one to four bytes, and at the edges of each length
VALID = [
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "\u0080\u07ff\u0800\uffff",
    "\ud7ff\ue000\ufffd",
    "\U00010000\U0010ffff",
    "\u007f",
]
NON_CHARACTERS = ["\ufffe", "\uffff", "\ufdd0", "\U0001fffe", "\U0010ffff"]
INVALID = {
    "a lone continuation byte": b"\x80",
    "two lone continuation bytes": b"\x80\xbf",
    "a first byte of two, then a space": b"\xc0 ",
    "a first byte of three, then a space": b"\xe0 ",
    "a first byte of four, then a space": b"\xf0 ",
    "a first byte of five": b"\xf8\x88\x80\x80\x80",
    "a first byte of six": b"\xfc\x84\x80\x80\x80\x80",
    "the last byte of two is missing": b"\xdf",
    "the last byte of three is missing": b"\xef\xbf",
    "the last byte of four is missing": b"\xf7\xbf\xbf",
    "sequences without their last bytes": b"\xc0\xe0\x80\xf0\x80\x80",
    "byte 254": b"\xfe",
    "byte 255": b"\xff",
    "an overlong slash in two bytes": b"\xc0\xaf",
    "an overlong slash in three bytes": b"\xe0\x80\xaf",
    "an overlong slash in four bytes": b"\xf0\x80\x80\xaf",
    "the largest overlong sequence of two": b"\xc1\xbf",
    "the largest overlong sequence of three": b"\xe0\x9f\xbf",
    "an overlong zero": b"\xc0\x80",
    "a first surrogate": b"\xed\xa0\x80",
    "a last surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "the first character above the last one": b"\xf4\x90\x80\x80",
}


def utf8() -> list:
    found = [
        Case("6.1.1", "a text without bytes", [Send(frame(TEXT)), Echo()]),
        Case(
            "6.1.2",
            "three empty fragments",
            [Send(frame(TEXT, is_last=False) + frame(CONTINUATION, is_last=False) + frame(CONTINUATION)), Echo()],
        ),
        Case(
            "6.1.3",
            "a fragment between empty ones",
            [
                Send(
                    frame(TEXT, is_last=False)
                    + frame(CONTINUATION, named("middle"), is_last=False)
                    + frame(CONTINUATION)
                ),
                Echo("middle"),
            ],
        ),
    ]
    for number, valid in enumerate([*VALID, *NON_CHARACTERS], 1):
        for way, send in chopped(text(valid)):
            found.append(Case(f"6.2.{number}", f"valid text {valid!r}{way}", [send, Echo(valid)]))
        for size in (1, 3):
            data = b"".join(fragments(named(valid), size))
            found.append(
                Case(f"6.2.{number}", f"valid text {valid!r} in fragments of {size}", [Send(data), Echo(valid)])
            )
    for number, (name, invalid) in enumerate(INVALID.items(), 1):
        payload = b"valid, then " + invalid
        found.append(Case(f"6.3.{number}", name, [Send(frame(TEXT, payload)), NOT_UTF8]))
        found.append(
            Case(f"6.3.{number}", f"{name}, in fragments of 1", [Send(b"".join(fragments(payload, 1))), NOT_UTF8])
        )
    # The message is not finished: who fails fast does not wait for the rest.
    unfinished = frame(TEXT, b"valid, then \xf4\x90", is_last=False) + frame(CONTINUATION, b"more", is_last=False)
    found.append(Case("6.4.1", "text that cannot become valid any more", [Send(unfinished), NOT_UTF8]))
    return found


def closing() -> list:
    found = []

    def add(number: str, name: str, *steps) -> None:
        found.append(Case(number, name, list(steps)))

    normal, closed = close_frame(1000), Closed((1000,))
    add("7.1.1", "a text, then a close frame", Send(text("x")), Echo("x"), Send(normal), closed)
    add("7.1.2", "two close frames", Send(normal + normal), closed)
    add("7.1.3", "a ping after the close frame", Send(normal + frame(PING, b"late")), closed)
    add("7.1.4", "a text after the close frame", Send(normal + text("late")), closed)
    first, second = fragments(named("interrupted"), 12)
    add("7.1.5", "a close frame between fragments", Send(first + normal + second), closed)
    many = frame(TEXT, b"x" * LIMIT) * 64
    add("7.1.6", "a close frame after 256 KiB of messages", Send(many), *[Echo()] * 64, Send(normal), closed)
    add("7.3.1", "a close frame without a code", Send(frame(CLOSE)), Closed((1000, 1005)))
    add("7.3.2", "a close frame of one byte", Send(frame(CLOSE, b"a")), PROTOCOL)
    add("7.3.3", "a close frame with a code", Send(normal), closed)
    add("7.3.4", "a close frame with a reason", Send(close_frame(1000, "Grüße".encode())), closed)
    add("7.3.5", "a close frame with 123 bytes of reason", Send(close_frame(1000, b"*" * 123)), closed)
    add("7.3.6", "a close frame with 124 bytes of reason", Send(close_frame(1000, b"*" * 124)), PROTOCOL)
    add("7.5.1", "a reason that is not UTF-8", Send(close_frame(1000, b"\xce\xba\xed\xa0\x80")), Closed((1007, 1002)))
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999):
        add("7.7", f"the valid code {code}", Send(close_frame(code)), Closed((code,)))
    # 1014 is valid since 2021, but the daemon's library does not have it yet.
    for code in (0, 1, 999, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        add("7.9", f"the invalid code {code}", Send(close_frame(code)), PROTOCOL)
        add("7.9", f"the invalid code {code} with a reason", Send(close_frame(code, b"reason")), PROTOCOL)
    return found


def limits() -> list:
    """Messages to a process that returns its input."""
    found = []
    for number, size in enumerate((65536, 262144, EXEC_LIMIT), 1):
        data = (b"0123456789abcdef" * (size // 16))[:size]
        found.append(Case(f"9.1.{number}", f"text of {size} bytes", [Send(frame(TEXT, data)), Bytes(data)]))
        found.append(Case(f"9.2.{number}", f"binary of {size} bytes", [Send(frame(BINARY, data)), Bytes(data)]))
    data = b"0123456789abcdef" * (EXEC_LIMIT // 16)
    for number, size in enumerate((64, 256, 1024, 4096, 16384, 65536), 1):
        found.append(
            Case(
                f"9.3.{number}",
                f"fragments of {size} bytes",
                [Send(b"".join(fragments(data, size, BINARY))), Bytes(data)],
            )
        )
        found.append(Case(f"9.5.{number}", f"pieces of {size} bytes", [Send(frame(TEXT, data), size), Bytes(data)]))
    above = frame(BINARY, data + b"x")
    found.append(Case("9.2.7", "binary above the limit", [Send(above), TOO_BIG]))
    found.append(
        Case("9.3.7", "fragments above the limit", [Send(b"".join(fragments(data + b"x", 65536, BINARY))), TOO_BIG])
    )
    found.append(
        Case(
            "10.1.1",
            "64 KiB in fragments of 1,300 bytes",
            [Send(b"".join(fragments(data[:65536], 1300))), Bytes(data[:65536])],
        )
    )
    return found


def round_trips() -> list:
    found = []
    for section, opcode in (("9.7", TEXT), ("9.8", BINARY)):
        for number, size in enumerate((0, 16, 64, 256, 1024, LIMIT), 1):
            found.append(
                Case(
                    f"{section}.{number}",
                    f"1,000 messages of {size} bytes",
                    [Send(frame(opcode, b"x" * size)), Echo()] * 1000,
                )
            )
    return found


def compression() -> list:
    compressed = struct.pack(">B", 0xAA) + b"\0"
    return [
        Case(
            "12.1",
            "a compressed message, which was not negotiated",
            [Send(frame(TEXT, compressed, reserved=4)), PROTOCOL],
        )
    ]


MUX_CASES = [
    *framing(),
    *pings(),
    *reserved_bits(),
    *opcodes(),
    *fragmentation(),
    *utf8(),
    *closing(),
    *round_trips(),
    *compression(),
]
EXEC_CASES = limits()
