"""What `whence doctor` finds: what is, what follows from it, and what to do."""

ERROR = "error"
"""The agent does not attach, or does not do what it is told or made for."""
WARNING = "warning"
"""It does, but something is not as one would wish."""
NOTE = "note"
"""Good to know."""

LEVELS = (ERROR, WARNING, NOTE)


class Finding:
    """One thing, in three parts that read as one line."""

    __slots__ = ("follows", "level", "remedy", "what")

    def __init__(self, level: str, what: str, follows: str = "", remedy: str = "") -> None:
        self.level = level
        self.what = " ".join(what.split())
        self.follows = follows
        self.remedy = remedy

    @property
    def text(self) -> str:
        """The line."""
        return "; ".join(filter(None, (self.what, self.follows, self.remedy)))

    def as_json(self) -> dict[str, str]:
        """The parts by their names."""
        return {name: getattr(self, name) for name in ("level", "what", "follows", "remedy")}
