"""Frames of HTTP/2 (RFC 9113), as far as a client needs them that does not finish.

Written by hand: a library finishes what it begins, and sends no header block in
pieces.
"""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, CONTINUATION = 0, 1, 4, 9
END_HEADERS = 4
# Entries of HPACK's static table (RFC 7541, appendix A)
METHOD_GET, METHOD_POST, PATH_ROOT, SCHEME_HTTPS = b"\x82", b"\x83", b"\x84", b"\x87"
AUTHORITY = b"\x01"
# A field with a literal name, not indexed, whose value is longer than any test sends.
ENDLESS_FIELD = b"\x00\x01x\x7f\xe1\xff\x03"


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def headers(method: bytes, host: str = "localhost") -> bytes:
    """Returns the header block of a request for the root."""
    return method + SCHEME_HTTPS + PATH_ROOT + AUTHORITY + bytes([len(host)]) + host.encode()


START = PREFACE + frame(SETTINGS, 0)
