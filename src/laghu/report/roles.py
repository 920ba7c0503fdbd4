"""What the roles of all extensions share: a number of a record in running text."""

import re

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from laghu.errors import LaghuError
from laghu.report import links

_LOG = logging.getLogger(__name__)


class RecordRole(SphinxRole):
    """A number; what its text names and is not there is a warning at its place, which fails the book's build.

    `pattern` takes the role's text apart, and its named groups are the arguments of `number`.
    """

    pattern: str
    example: str

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        # Sphinx can't know that a record or this code changed, so pages with numbers are read at every build.
        self.env.note_reread()
        try:
            if not (match := re.fullmatch(self.pattern, self.text)):
                raise LaghuError(f"{self.text!r} is not of the form {self.example}")
            return [self.number(**match.groupdict())], []
        except LaghuError as error:
            _LOG.warning("%s: %s", self.rawtext, error, location=self.get_location(), type="laghu")
            return [links.missing(self.text)], []

    def number(self, **parts: str) -> nodes.Node:
        """The number as it stands in the sentence; `links.missing` where the record has not been made."""
        raise NotImplementedError
