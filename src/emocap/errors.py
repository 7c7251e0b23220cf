"""The one exception that emocap raises for input it cannot use."""


class EmocapError(Exception):
    """Unusable input; the message is one line: where it is, what was found, what was expected, what to do.

    >>> from emocap.emotions import Vocabulary
    >>> try:
    ...     Vocabulary(("happy", "happy"))
    ... except EmocapError as error:
    ...     print(error)
    vocabulary: 'happy' occurs twice
    """
