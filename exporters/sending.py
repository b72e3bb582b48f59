"""What can go wrong between us and an OTLP receiver, in words."""

import ssl
from http.client import HTTPException

from .otlp_settings import OtlpSettings


class SendError(Exception):
    """A request was not taken.  The text is the reason, for a parenthesis."""

    def __init__(
        self, reason: str, *, answered: bool = False, hint: str = "", no_service: bool = False
    ) -> None:
        super().__init__(reason)
        self.answered = answered
        """Whether it is a receiver's refusal; else there seems to be none."""
        self.hint = hint
        self.no_service = no_service
        """Whether what answers there does not know this signal."""


def explain(error: SendError, otlp: OtlpSettings) -> str:
    """The line for the user."""
    word = otlp.signal.word
    if error.answered:
        line = f"the OTLP receiver at {otlp.shown} refused {word} ({error}); they are dropped"
        return f"{line}; {error.hint}" if error.hint else line
    line = f"no OTLP receiver at {otlp.shown} ({error}); {word} are dropped until one answers"
    if otlp.is_local:
        line += "; docker compose up -d starts Jaeger, --export console prints the trees"
    return line


def reason_of(error: Exception, timeout: float) -> str:
    """Why there is no connection, or no answer, in a few words."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:.3g} s"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, ConnectionError):
        return "the connection was closed without an answer"
    if isinstance(error, HTTPException):
        return "what answers there does not speak HTTP"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return f"{type(error).__name__}: {error}"
