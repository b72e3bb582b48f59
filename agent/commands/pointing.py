"""`whence run --dashboard`: have a dashboard, and send the program's spans and metrics there.

Where there can be none, the program runs all the same, and sends to where it would have sent.
"""

from ..report import say, warn
from ..settings.config import SettingError, Settings, resolve
from .running_dashboard import CannotStart, find_or_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..settings.config import Layer

_ASKED = "--dashboard"


def point_at_dashboard(
    settings: Settings,
    options: "Layer",
    environ: "Mapping[str, str]",
    project: "Layer | None",
) -> Settings:
    """The settings with a dashboard as the receiver; it is started if none runs, and named.

    Raises SettingError where another option says otherwise.
    """
    for name, expected in (("endpoint", "no other receiver"), ("protocol", "no protocol")):
        if name in options:
            label, text = options[name]
            raise SettingError(f"{label}: expected {expected} beside {_ASKED}, not {text!r}")
    if "export" in options and "none" in settings.export:
        raise SettingError(f"{options['export'][0]}: expected an export beside {_ASKED}, not none")
    try:
        about = find_or_start()
    except CannotStart as error:
        warn(f"there is no dashboard: {error}; the program runs without it")
        return settings
    if not settings.quiet:
        say(f"whence: dashboard at {about['url']}")
    exports = ("otlp", *(name for name in settings.export if name not in ("otlp", "none")))
    pointed = {
        "dashboard": (_ASKED, about["url"]),
        "endpoint": (_ASKED, about["otlp"]["http"]),
        "protocol": (_ASKED, "http/protobuf"),
        "export": (_ASKED, ",".join(exports)),
    }
    return resolve(pointed, options, environ=environ, project=project)
