"""The one exception that emocap raises for input it cannot use."""


class EmocapError(Exception):
    """Unusable input; the message is one line: where it is, what was found, what was expected, what to do."""
