"""Decodes Protobuf without knowing the types, for comparison only.

Bytes are text if they are printable, otherwise a message if they parse as one. Fields with their default
value are left out: kube-apiserver sends them, and every decoder reads the same without them.
"""

import string
from typing import Any, Optional

# Before each object of Kubernetes
MAGIC = b"k8s\0"
PRINTABLE = frozenset(string.printable.encode()) - frozenset(b"\n\r\t\x0b\x0c")
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# In ObjectMeta and ListMeta, the field that has the resource version
VERSION_FIELDS = ("6", "2")


def decode(body: bytes) -> Any:
    """Returns a response as dictionaries of lists, by field number; a watch as a list of its frames."""
    if body.startswith(MAGIC):
        return {"magic": "k8s", "fields": message(body[len(MAGIC) :])}
    frames = []
    while len(body) > 4:
        size = int.from_bytes(body[:4], "big")
        frames.append(message(body[4 : 4 + size]))
        body = body[4 + size :]
    return frames


def message(content: bytes) -> Optional[dict]:
    """Returns the fields of a message, or None if it is none."""
    fields: dict = {}
    at = 0
    while at < len(content):
        key, at = varint(content, at)
        if key is None or key >> 3 == 0:
            return None
        wire, name = key & 7, str(key >> 3)
        value: Any
        if wire == VARINT:
            value, at = varint(content, at)
        elif wire == BYTES:
            size, at = varint(content, at)
            if size is None or at + size > len(content):
                return None
            value = text_or_message(content[at : at + size], name)
            at += size
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
            value = content[at : at + size].hex() if at + size <= len(content) else None
            at += size
        else:
            return None
        if value is None:
            return None
        if value not in ("", 0, {}):
            fields.setdefault(name, []).append(value)
    return fields


def text_or_message(content: bytes, field: str) -> Any:
    if content.startswith(MAGIC):
        return {"magic": "k8s", "fields": message(content[len(MAGIC) :])}
    if all(byte in PRINTABLE for byte in content):
        text = content.decode()
        return "<version>" if field in VERSION_FIELDS and text.isdigit() else text
    inner = message(content)
    return content.decode(errors="backslashreplace") if inner is None else inner


def varint(content: bytes, at: int) -> tuple:
    value = shift = 0
    while at < len(content) and shift < 70:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return None, at
