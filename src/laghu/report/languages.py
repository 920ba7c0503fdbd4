"""Which language the words of a text are in, by their script; text in Latin letters has the language of its page."""

import re
from collections.abc import Iterator

# Letters, signs and digits of the scripts that the corpora are written in, and joiners, which shape them. The danda is
# both scripts' full stop.
_SIGNS = {"mr": "\u0900-\u0963\u0966-\u097f", "bn": "\u0980-\u09ff"}
_JOINERS = "\u200c\u200d"
_BETWEEN = rf"[^\w{''.join(_SIGNS.values())}]*+"
# Words of one script, with the spaces, punctuation and at most one number that stand between two of them.
_RUN = re.compile("|".join(
    rf"(?P<{language}>[{signs}](?:[{signs}{_JOINERS}]|{_BETWEEN}[0-9]*+{_BETWEEN}(?=[{signs}]))*)"
    for language, signs in _SIGNS.items()
))
_TAG = re.compile(r"(<[^>]*>)")
_ATTRIBUTE = re.compile(r' lang="[a-z]+"')


def runs(text: str) -> Iterator[tuple[str, str | None]]:
    """The text in pieces, each with the code of its language, "mr" or "bn", or None where it has the page's."""
    end = 0
    for run in _RUN.finditer(text):
        if run.start() > end:
            yield text[end:run.start()], None
        yield run[0], run.lastgroup
        end = run.end()
    if end < len(text):
        yield text[end:], None


def language(text: str) -> str | None:
    """The language of a text's first words that are in another script than the page, or None."""
    return next((found for _, found in runs(text) if found), None)


def attribute(text: str) -> str:
    """` lang="mr"` for an HTML element that holds the text, or nothing."""
    found = language(text)
    return f' lang="{found}"' if found else ""


def marked(html: str) -> str:
    """HTML whose words bear their language; an element that says one says the right one, and is not marked twice.

    For tables and paragraphs: no scripts and no style sheets.
    """
    pieces = _TAG.split(html)
    for at in range(0, len(pieces), 2):
        text = pieces[at]
        if at and _ATTRIBUTE.search(pieces[at - 1]):
            pieces[at - 1] = _ATTRIBUTE.sub(attribute(text), pieces[at - 1])
        else:
            pieces[at] = "".join(
                f'<span lang="{found}">{piece}</span>' if found else piece for piece, found in runs(text)
            )
    return "".join(pieces)
