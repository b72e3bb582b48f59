"""The table of settings: one row says all that there is to know about one.

The names follow from the row's: `min_duration` is the option `--min-duration`, the variable
`WHENCE_MIN_DURATION` and the key `min_duration` in pyproject.toml.
Start-up path: imports nothing heavy.
"""

from .values import (
    number,
    one_of,
    read_bool,
    read_dashboard,
    read_export,
    read_globs,
    read_items,
    read_path,
    read_stacks,
    read_text,
    read_types,
    read_url,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Setting:
    """A row of the table.

    `otel` are the OTEL_* variables that stand in for the setting's own; with `left_to_otel` they
    are not read here but make the value None: the exporters do as OpenTelemetry's SDK does.
    """

    __slots__ = (
        "default",
        "help",
        "left_to_otel",
        "metavar",
        "name",
        "option",
        "otel",
        "read",
        "short",
        "variable",
    )

    def __init__(
        self,
        name: str,
        read: "Callable[[str], Any]",
        default: "Any",
        help: str,
        *,
        metavar: str = "",
        short: str = "",
        otel: tuple[str, ...] = (),
        left_to_otel: bool = False,
    ) -> None:
        self.name = name
        self.option = "--" + name.replace("_", "-")
        self.variable = "WHENCE_" + name.upper()
        self.read = read
        self.default = default
        self.help = help
        self.metavar = metavar
        self.short = short
        self.otel = otel
        self.left_to_otel = left_to_otel

    @property
    def is_flag(self) -> bool:
        """Whether the option takes no value."""
        return self.read in (read_bool, read_dashboard)

    @property
    def is_list(self) -> bool:
        """Whether the option may be repeated, each adding to the ones before."""
        return self.read in (read_export, read_globs, read_items, read_types)


TABLE = (
    Setting(
        "service",
        read_text,
        None,
        "name of the service (default: the command's name)",
        metavar="NAME",
        otel=("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"),
    ),
    Setting(
        "endpoint",
        read_url,
        None,
        "where OTLP goes (default: http://localhost:4318)",
        metavar="URL",
        otel=("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        left_to_otel=True,
    ),
    Setting(
        "protocol",
        one_of("http/protobuf", "grpc"),
        "http/protobuf",
        "http/protobuf or grpc (default: http/protobuf)",
        metavar="P",
        otel=("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        left_to_otel=True,
    ),
    Setting(
        "export",
        read_export,
        ("otlp",),
        "otlp, console, file or none; repeatable (default: otlp)",
        metavar="TO",
        otel=("OTEL_TRACES_EXPORTER",),
    ),
    Setting(
        "output",
        read_path,
        None,
        "file of --export file, and implies it; %p is the pid",
        metavar="FILE",
        short="-o",
    ),
    Setting(
        "types",
        read_types,
        None,
        "types that become spans: a,b or all or -c (default: all but Handle and Future)",
        metavar="LIST",
    ),
    Setting(
        "include",
        read_globs,
        (),
        "only what matches: shop.*, module:shop, name:poll_*, type:*Timer*, trace:GET *",
        metavar="GLOBS",
    ),
    Setting(
        "exclude",
        read_globs,
        (),
        "nothing that matches; what it triggers stays",
        metavar="GLOBS",
    ),
    Setting(
        "disable",
        read_items,
        (),
        "leave out instrumentations or libraries, as `whence doctor` names them",
        metavar="NAMES",
    ),
    Setting(
        "sample",
        number("a ratio from 0 to 1", lambda ratio: 0 <= ratio <= 1),
        1.0,
        "ratio of traces to keep (default: 1)",
        metavar="R",
        otel=("OTEL_TRACES_SAMPLER",),
        left_to_otel=True,
    ),
    Setting(
        "min_duration",
        number("a number of milliseconds, 0 or more", lambda ms: ms >= 0),
        1.0,
        "shorter lifetimes become no span, errors excepted (default: 1)",
        metavar="MS",
    ),
    Setting(
        "max_spans",
        whole("a whole number of spans, 1 or more", 1),
        2000,
        "spans in a trace; further ones are counted on their parent (default: 2000)",
        metavar="N",
    ),
    Setting(
        "max_rate",
        whole("a whole number of spans a second, 0 for no limit", 0),
        0,
        "spans a second; beyond that whole traces are left out (default: 0, no limit)",
        metavar="N",
    ),
    Setting(
        "segment",
        number("a number of seconds above 0", lambda seconds: seconds > 0),
        60.0,
        "what is open longer is exported in segments (default: 60)",
        metavar="S",
    ),
    Setting(
        "stacks",
        read_stacks,
        1,
        "where resources are made: off, site, or N frames (default: site)",
        metavar="WHAT",
    ),
    Setting(
        "slow",
        number("a number of milliseconds above 0", lambda ms: ms > 0),
        100.0,
        "a callback that runs longer blocks the loop (default: 100)",
        metavar="MS",
    ),
    Setting(
        "metrics_port",
        whole("a port from 0 (any free one) to 65535", 0, 65535),
        None,
        "serve metrics to Prometheus on this port (default: off)",
        metavar="PORT",
    ),
    Setting(
        "dashboard",
        read_dashboard,
        False,
        "show it in the local dashboard, which is started if it does not run",
    ),
    Setting(
        "on_exit",
        one_of("report", "why", "none"),
        "report",
        "block on stderr at the end: report, why or none (default: report)",
        metavar="WHAT",
    ),
    Setting(
        "on_signal",
        one_of("why", "none"),
        "none",
        "why: SIGUSR1 prints on stderr why the process goes on (default: none)",
        metavar="WHAT",
    ),
    Setting("no_messages", read_bool, False, "export the types of exceptions, not their messages"),
    Setting("no_live", read_bool, False, "have no socket for `whence ps`, why, top and the like"),
    Setting("no_child", read_bool, False, "leave the program's child processes alone"),
    Setting("quiet", read_bool, False, "print nothing at start and end", short="-q"),
    Setting("verbose", read_bool, False, "print from child processes as well", short="-v"),
)

BY_NAME = {row.name: row for row in TABLE}
