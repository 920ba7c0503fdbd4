"""Inputs that nobody meant to write: valid ones damaged, as bytes and as values, and values made up from nothing.

Everything is drawn from the `random.Random` that is given, so that an input is known by its seed. Hypothesis gives one
of its own kind, and so can make a failing input smaller.
"""

import json
from copy import deepcopy
from random import Random
from typing import Any

# What readers trip over: ends of types, markup, YAML's tags and aliases, names that are paths, halves of characters.
TEXTS = (
    "",
    " ",
    "\0",
    "\n",
    "\r",
    "\t",
    "\x1b[31m",
    "\x9b2J",
    "\u202e",
    "\ufeff",
    "\U0010ffff",
    "e\u0301",
    "क\u094dष",
    "None",
    "nan",
    "NaN",
    "-0",
    "1e999",
    "0x10",
    "1_000",
    "2026-13-45",
    "../../etc/passwd",
    "/",
    "a/b",
    ".",
    "-",
    "=1+1",
    "<script>",
    "{0}",
    "%s",
    "a" * 300,
    "!!python/object/apply:os.system [id]",
    "&a [*a]",
    "*a",
    "- - -",
    "? x",
    "true",
    "~",
)
NUMBERS = (
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63) - 1,
    2**64,
    10**400,
    0.0,
    -0.0,
    0.1,
    1e308,
    -1e308,
    5e-324,
    float("nan"),
    float("inf"),
    float("-inf"),
)
SCRAPS = (
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\r\n",
    b"\r",
    b"\n",
    b'"',
    b"'",
    b",",
    b"\t",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"- ",
    b"&a ",
    b"*a",
    b"!!int ",
    b"!!float ",
    b"!!timestamp ",
    b"!!binary ",
    b"!!bool ",
    b"!!set ",
    b"!!python/name:os.system ",
    b"? ",
    b"| ",
    b"<<: ",
    b"\\ud800",
    b"1e999",
    b"NaN",
    b"Infinity",
    b"null",
    b"2026-13-45",
    b"0x" + b"f" * 5000,
    b"9" * 5000,
    b"[" * 2000,
    b'{"a":' * 2000,
    b"\x1b[2J",
    "\u202e".encode(),
    b"%PDF",
    b"PK\x03\x04",
)
_DEPTHS = (3, 60, 400)


def damaged(seed: bytes, rng: Random, others: tuple[bytes, ...] = ()) -> bytes:
    """The bytes after one to four accidents: cut, flipped, repeated, spliced, in another encoding."""
    content = bytearray(seed)
    for _ in range(rng.randint(1, 4)):
        place = rng.randint(0, len(content))
        end = min(len(content), place + rng.choice((1, 2, 8, 64)))
        match rng.randrange(9):
            case 0:
                del content[place:]
            case 1:
                del content[place:end]
            case 2:
                content[place:place] = rng.choice(SCRAPS)
            case 3:
                content[place:end] = rng.choice(SCRAPS)
            case 4 if content:
                content[place % len(content)] ^= 1 << rng.randrange(8)
            case 5:
                content[place:place] = content[place:end] * rng.choice((1, 2, 50))
            case 6 if others:
                other = rng.choice(others)
                content[place:] = other[rng.randint(0, len(other)) :]
            case 7:
                content[place:end] = bytes(rng.randrange(256) for _ in range(end - place))
            case 8:
                content = bytearray(_encoded_otherwise(bytes(content), rng))
    return bytes(content)


def _encoded_otherwise(content: bytes, rng: Random) -> bytes:
    """As another program might save it."""
    text = content.decode("utf-8", "replace")
    match rng.randrange(5):
        case 0:
            return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig")))
        case 1:
            return text.encode(rng.choice(("cp1252", "cp866", "latin-1")), "replace")
        case 2:
            return content.replace(b"\n", b"\r\n")
        case 3:
            return content.replace(b"\n", b"\r")
    return text.encode().decode("latin-1").encode()


def value(rng: Random, depth: int = 3) -> Any:
    """Any value that JSON or YAML can hold, hostile ones before others."""
    match rng.randrange(8 if depth else 5):
        case 0 | 1:
            return rng.choice(TEXTS)
        case 2 | 3:
            return rng.choice(NUMBERS)
        case 4:
            return rng.choice((None, True, False, [], {}))
        case 5:
            return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
        case 6:
            return {rng.choice(TEXTS): value(rng, depth - 1) for _ in range(rng.randrange(4))}
    return deep(rng)


def deep(rng: Random) -> Any:
    """A value within a value within a value."""
    inner: Any = rng.choice(NUMBERS)
    as_list = rng.random() < 0.5
    for _ in range(rng.choice(_DEPTHS)):
        inner = [inner] if as_list else {"a": inner}
    return inner


def changed(seed: Any, rng: Random, most: int = 4) -> Any:
    """The value with one to `most` parts replaced, removed, repeated, renamed or swapped."""
    content = deepcopy(seed)
    for _ in range(rng.randint(1, most)):
        holder = _somewhere(content, rng)
        if not holder:
            return value(rng)
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key, other = rng.choice(keys), rng.choice(keys)
        match rng.randrange(6):
            case 0 | 1:
                holder[key] = value(rng)
            case 2:
                del holder[key]
            case 3:
                holder[key], holder[other] = holder[other], holder[key]
            case 4 if isinstance(holder, dict):
                holder[rng.choice(TEXTS)] = holder.pop(key)
            case 4:
                holder.extend(holder[:3])
            case 5:
                holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
    return content


def _somewhere(content: Any, rng: Random) -> Any:
    """A list or mapping in it, itself among them; None if there is none."""
    if not isinstance(content, dict | list):
        return None
    while True:
        inner = [
            part
            for part in (content.values() if isinstance(content, dict) else content)
            if part and isinstance(part, dict | list)
        ]
        if not inner or rng.random() < 0.4:
            return content
        content = rng.choice(inner)


def as_json(content: Any) -> bytes:
    """The value as JSON, halves of characters and what is no number included; what JSON can't hold, as a text."""
    try:
        return json.dumps(content, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
    except (RecursionError, ValueError):
        return json.dumps(str(type(content))).encode()
