"""What can go wrong between us and an OTLP receiver, in words."""

import ssl
from http.client import HTTPException

from .settings import OtlpSettings


class SendError(Exception):
    """A request was not taken.  The text is the reason, for a parenthesis."""

    def __init__(
        self,
        reason: str,
        *,
        answered: bool = False,
        again: bool | None = None,
        after: float | None = None,
        hint: str = "",
        no_service: bool = False,
    ) -> None:
        super().__init__(reason)
        self.answered = answered
        """Whether it is a receiver's refusal; else there seems to be none."""
        self.again = not answered if again is None else again
        """Whether the same request may be taken later; by default, if nobody answered:
        https://opentelemetry.io/docs/specs/otlp/#failures"""
        self.after = after
        """In how many seconds, if the receiver says so."""
        self.hint = hint
        self.no_service = no_service
        """Whether what answers there does not know this signal."""


def explain(error: SendError, otlp: OtlpSettings, *, waits: bool = False) -> str:
    """The line for the user; `waits` is whether what may be sent again is kept for that."""
    word, waits = otlp.signal.word, waits and error.again
    if error.answered:
        fate = "are tried again" if waits else "are dropped"
        line = f"the OTLP receiver at {otlp.shown} refused {word} ({error}); they {fate}"
        return f"{line}; {error.hint}" if error.hint else line
    fate = f"the latest {word} wait" if waits else f"{word} are dropped"
    line = f"no OTLP receiver at {otlp.shown} ({error}); {fate} until one answers"
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
