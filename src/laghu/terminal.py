"""Text of others on its way to a terminal: what would steer the terminal is spelt out, what is to be read stays."""

import json
import re

# Controls but tab and line feed (ESC and CSI begin sequences), what turns the direction of writing, ends of lines that
# only some programs know, and halves of characters, which no encoding has. Joiners stay: Indic scripts write with them.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    r"""The text with what would steer a terminal as Python spells it, such as `\x1b`."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def json_string(text: str) -> str:
    """The text as a JSON string in which nothing steers a terminal; a reader of JSON gets the same text."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
