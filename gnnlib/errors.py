"""The one exception that carries a sentence meant for the person using the app."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used; the message is one sentence that names what is wrong and what to do.

    Pages show the message as it is, the command line prints it on standard error and exits with status 2.
    """
