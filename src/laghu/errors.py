"""The one error that a reader of Laghu is meant to see."""


class LaghuError(ValueError):
    """Something the caller can put right: the message names the offending value and what would be right.

    In a notebook (and so in papermill's output) it is shown as one line: IPython asks an exception for
    `_render_traceback_` before it formats the traceback itself.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]
