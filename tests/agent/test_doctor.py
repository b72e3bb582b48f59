"""`whence doctor`, on real Pythons, good and bad."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import wrapt

from launching import Launcher
from receivers import GrpcReceiver, HttpReceiver, black_hole, free_port
from whence import engine
from whence.instrumenting import INSTRUMENTATIONS
from whence.settings.options import TABLE
from whence.sitecustomize import FOLDER
from whence.version import VERSION

ROOT = Path(FOLDER).parent
KEYS = {
    "format",
    "ok",
    "whence",
    "command",
    "interpreter",
    "attaching",
    "sitecustomizes",
    "settings",
    "engine",
    "loops",
    "instrumentations",
    "exporters",
    "metrics",
    "findings",
}


class Report:
    """What `whence doctor --json` said, and its exit code."""

    def __init__(self, launch: Launcher, *words: str, **variables: str) -> None:
        ran = launch(*launch.whence, "doctor", "--json", *words, env=variables)
        assert ran.err == ""
        self.code = ran.code
        self.content: dict[str, Any] = json.loads(ran.out)
        assert set(self.content) == KEYS
        assert self.content["ok"] == (self.code == 0)

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def lines(self, level: str) -> list[str]:
        """The findings of a level, each as the line that people read."""
        return [
            "; ".join(filter(None, (found["what"], found["follows"], found["remedy"])))
            for found in self["findings"]
            if found["level"] == level
        ]

    def row(self, table: str, name: str) -> dict[str, Any]:
        """The one row of that name."""
        (found,) = (row for row in self[table] if row.get("name", row.get("library")) == name)
        return dict(found)


def nothing_sent(launch: Launcher, *words: str, **variables: str) -> Report:
    """A report without exporters, whose destinations are not up in tests."""
    return Report(launch, "--export", "none", *words, **variables)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    """Of this Python, where all is well."""
    launcher = Launcher(tmp_path_factory.mktemp("healthy"))
    yield nothing_sent(launcher)
    launcher.close()


class TestHealthy:
    """This Python, where all is well."""

    def test_it_finds_nothing_and_succeeds(self, report: Report) -> None:
        assert report["findings"] == []
        assert (report.code, report["ok"]) == (0, True)

    def test_it_describes_the_interpreter(self, report: Report) -> None:
        python = report["interpreter"]
        assert python["version"] == ".".join(map(str, sys.version_info[:3]))
        assert python["implementation"] == sys.implementation.name.replace("cp", "CP")
        assert python["prefix"] == sys.prefix
        assert python["free_threaded"] == bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
        assert python["main_interpreter"] is True
        assert report["command"] == [sys.executable]
        assert report["whence"] == VERSION

    def test_it_attaches_both_ways(self, report: Report) -> None:
        both = {"attaches": True, "by": "whence.pth"}
        assert report["attaching"] == {"whence run": both, "WHENCE_ATTACH=1": both}

    def test_every_instrumentation_is_in_if_its_library_is_installed(self, report: Report) -> None:
        rows = {row["name"]: row for row in report["instrumentations"]}
        for library, names in INSTRUMENTATIONS.items():
            installed = find_spec(library.partition(".")[0]) is not None
            for name in names:
                assert rows[name]["library"] == library
                assert rows[name]["state"] == ("in" if installed else "not installed"), rows[name]
                assert (rows[name]["why"], rows[name]["skipped"]) == ("", {})

    def test_each_names_what_it_patches(self, report: Report) -> None:
        assert report.row("instrumentations", "threads")["patched"] == ["threading.Thread.start"]
        patched = report.row("instrumentations", "callbacks")["patched"]
        assert {"asyncio.events.Handle", "asyncio.events.TimerHandle"} <= set(patched)

    def test_a_task_was_seen_on_each_loop(self, report: Report) -> None:
        loops = {row["library"]: row for row in report["loops"]}
        assert loops["asyncio"]["class"].endswith("EventLoop")
        assert loops["asyncio"]["version"] is None
        for loop in loops.values():
            assert {"Future", "Handle", "Task", "TimerHandle"} <= set(loop["seen"])
            assert (loop["missed"], loop["error"], loop["debug"]) == ([], "", False)

    def test_libraries_come_with_their_version_and_the_tested_range(self, report: Report) -> None:
        uvloop = pytest.importorskip("uvloop")
        loop = report.row("loops", "uvloop")
        assert (loop["class"], loop["version"]) == ("uvloop.Loop", uvloop.__version__)
        assert (loop["tested"], loop["is_tested"]) == (">=0.22,<0.24", True)
        assert report.row("instrumentations", "uvloop")["version"] == uvloop.__version__

    def test_the_engine_says_whether_it_is_slower_than_it_might_be(self, report: Report) -> None:
        said = {"name": engine.NAME, "why_not_c": "", "handles": "tracked", "slower": {}}
        assert report["engine"] == said | {"clock": report["engine"]["clock"]}

    def test_the_engine_says_which_clock_it_reads(self, report: Report) -> None:
        clocks = ("tsc", "system") if engine.NAME == "c" else ("system",)
        assert report["engine"]["clock"] in clocks

    def test_every_setting_is_there(self, report: Report) -> None:
        settings = {row["name"]: row for row in report["settings"]}
        assert list(settings) == [row.name for row in TABLE]
        assert settings["export"] == {
            "name": "export",
            "value": "none",
            "origin": "--export",
            "is_default": False,
        }
        assert settings["slow"]["is_default"]
        assert report["exporters"] == []


class TestText:
    """What people read."""

    def test_it_has_sections_and_fits_in_100_columns_without_colour(self, launch: Launcher) -> None:
        environ = {"WHENCE_SLOW": "5", "WHENCE_SERVCE": "shop", "WHENCE_SAMPLE": "7"}
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"
        ran = launch(*launch.whence, "doctor", env=environ)
        assert (ran.code, ran.err) == (1, "")
        assert max(map(len, ran.out.splitlines())) <= 100
        assert "\033" not in ran.out
        lines = ran.out.splitlines()
        titles = [line for line in lines if line and not line.startswith(" ")]
        assert titles[0] == f"whence {VERSION}, {sys.executable}"
        assert titles[1:-1] == [
            "python",
            "attaching",
            "settings other than the defaults",
            "engine and loops",
            "instrumentations",
            "cannot be seen",
            "exporters",
            "metrics",
        ]
        assert titles[-1] == "1 error, 2 warnings"
        rows = [line.split() for line in lines]
        assert ["slow", "5", "WHENCE_SLOW"] in rows
        [clock] = [row[2:4] for row in rows if row[:2] == ["engine", engine.NAME]]
        assert clock in (["tsc", "clock"], ["system", "clock"])
        [[number, word]] = [row[3:] for row in rows if row[:3] == ["callbacks", "in", "asyncio"]]
        assert int(number) > 0
        assert word == "patched"
        joined = " ".join(" ".join(row) for row in rows)
        assert "error WHENCE_SAMPLE: expected a ratio from 0 to 1, not '7'; programs run" in joined
        assert "warning WHENCE_SERVCE is no setting; it does nothing; did you mean" in joined

    def test_when_all_is_well_it_says_so(self, launch: Launcher) -> None:
        ran = launch(*launch.whence, "doctor", "-q", "--export", "none")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.endswith("\nall is well\n")

    def test_verbose_names_every_patched_attribute(self, launch: Launcher) -> None:
        ran = launch(*launch.whence, "doctor", "-v", "--export", "none")
        assert (ran.code, ran.err) == (0, "")
        assert "asyncio.events.TimerHandle" in ran.out.split()

    @pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
    @pytest.mark.parametrize("no_color", ["", "1"])
    def test_a_terminal_gets_colours_unless_it_wants_none(
        self, no_color: str, launch: Launcher
    ) -> None:
        ours, theirs = os.openpty()
        environ = launch.environment(TERM="xterm", NO_COLOR=no_color)
        words = [*launch.whence, "doctor", "--export", "none"]
        with subprocess.Popen(words, stdout=theirs, env=environ) as child:
            os.close(theirs)
            said = b""
            try:
                while some := os.read(ours, 65536):
                    said += some
            except OSError:
                """The end, on Linux."""
        os.close(ours)
        assert child.returncode == 0
        assert (b"\033[32min\033[0m" in said) == (not no_color)
        assert b"threading.Thread.start" not in said

    def test_its_help_is_that_of_run_and_more(self, launch: Launcher) -> None:
        ran = launch(*launch.whence, "doctor", "--help")
        assert ran.code == 0
        assert ran.out.startswith("usage: whence doctor ")
        assert "--min-duration MS" in ran.out


class TestSettings:
    """Right and wrong ones."""

    def test_all_that_is_wrong_is_said_at_once_and_the_rest_looked_at(
        self, launch: Launcher
    ) -> None:
        launch.write("pyproject.toml", "[tool.whence]\nslow = 0\n")
        report = nothing_sent(
            launch, WHENCE_SEGMENT="soon", WHENCE_MAX_SPANS="0", WHENCE_MIN_DURATION="7"
        )
        assert report.code == 1
        starts = [line.partition(",")[0] for line in report.lines("error")]
        assert sorted(starts) == [
            "WHENCE_MAX_SPANS: expected a whole number of spans",
            "WHENCE_SEGMENT: expected a number of seconds above 0",
            f"slow in [tool.whence] of {launch.folder}/pyproject.toml: "
            "expected a number of milliseconds above 0",
        ]
        assert report["attaching"]["whence run"]["attaches"]
        assert report.row("settings", "min_duration")["value"] == "7"

    def test_a_wrong_option_is_a_usage_error(self, launch: Launcher) -> None:
        for words, complaint in (
            (["--slow", "x"], "--slow: expected a number of milliseconds above 0, not 'x'"),
            (["--slwo", "x"], "--slwo: expected an option (did you mean --slow?)"),
            (["no_such.py"], "no_such.py: no such file"),
        ):
            ran = launch(*launch.whence, "doctor", *words)
            assert (ran.code, ran.out) == (2, "")
            assert ran.err == f"whence doctor: {complaint}\n"

    @pytest.mark.parametrize("switch", ["WHENCE_DISABLED", "OTEL_SDK_DISABLED"])
    def test_an_agent_that_is_switched_off_is_an_error(self, switch: str, launch: Launcher) -> None:
        report = nothing_sent(launch, **{switch: "true"})
        assert report.code == 1
        assert report.lines("error") == [
            f"{switch} is set; no program attaches; unset {switch}",
        ]
        assert report.row("instrumentations", "callbacks")["state"] == "in"

    def test_a_password_in_a_url_is_not_shown(self, launch: Launcher) -> None:
        url = f"http://user:secret@127.0.0.1:{free_port()}"
        ran = launch(*launch.whence, "doctor", "--json", "--endpoint", url)
        assert "secret" not in ran.out
        assert json.loads(ran.out)["settings"][1]["value"] == url.replace("user:secret@", "")

    def test_what_the_exporters_complain_about_is_a_warning(
        self, launch: Launcher, receiver: HttpReceiver
    ) -> None:
        environ = {"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"}
        report = Report(launch, "--endpoint", receiver.url, **environ)
        assert report.code == 0
        assert report.lines("warning") == [
            "OTEL_EXPORTER_OTLP_COMPRESSION: expected one of gzip, deflate, none, not 'zip'; "
            "none is used"
        ]


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    made = HttpReceiver()
    yield made
    made.close()


class TestExporters:
    """Whether anybody takes the spans."""

    def test_a_receiver_over_http_is_asked_and_gets_no_spans(
        self, launch: Launcher, receiver: HttpReceiver
    ) -> None:
        report = Report(launch, "--min-duration", "0", "--endpoint", receiver.url)
        assert (report.code, report["findings"]) == (0, [])
        assert report["exporters"] == [
            {
                "name": "otlp",
                "label": f"the OTLP receiver at {receiver.url}",
                "state": "takes spans",
                "why": "",
            }
        ]
        assert receiver.received.paths == ["/v1/traces"]
        assert receiver.received.spans == []

    def test_a_receiver_over_grpc_is_asked_and_gets_no_spans(self, launch: Launcher) -> None:
        receiver = GrpcReceiver()
        try:
            report = Report(launch, "--protocol", "grpc", "--endpoint", receiver.url)
        finally:
            receiver.close()
        assert (report.code, report["findings"]) == (0, [])
        assert report.row("exporters", "otlp")["state"] == "takes spans"
        assert len(receiver.received.requests) == 1
        assert receiver.received.spans == []

    @pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
    def test_that_nobody_is_there_is_a_warning(self, protocol: str, launch: Launcher) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        report = Report(launch, "--protocol", protocol, "--endpoint", url)
        assert report.code == 0
        assert report.row("exporters", "otlp")["state"] == "takes no spans"
        (line,) = report.lines("warning")
        assert line.startswith(f"no OTLP receiver at {url} (connection refused); spans are dropped")

    @pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
    def test_one_that_does_not_answer_is_given_a_second(
        self, protocol: str, launch: Launcher
    ) -> None:
        with black_hole() as port:
            report = Report(
                launch, "--protocol", protocol, "--endpoint", f"http://127.0.0.1:{port}"
            )
        (line,) = report.lines("warning")
        assert "(no answer within 1 s)" in line

    def test_one_that_refuses_is_a_warning_with_what_to_do(
        self, launch: Launcher, receiver: HttpReceiver
    ) -> None:
        receiver.status = 401
        report = Report(launch, "--endpoint", receiver.url)
        assert report.code == 0
        (line,) = report.lines("warning")
        assert "(401 Unauthorized)" in line
        assert "OTEL_EXPORTER_OTLP_HEADERS" in line

    def test_a_file_that_cannot_be_written_is_a_warning(self, launch: Launcher) -> None:
        path = launch.folder / "missing" / "spans.jsonl"
        report = Report(launch, "-o", str(path))
        assert report.code == 0
        assert report.lines("warning") == [
            f"{path} cannot be written (there is no folder {path.parent}); spans are dropped"
        ]

    def test_a_file_that_can_be_written_is_not_made(self, launch: Launcher) -> None:
        report = Report(launch, "-o", "spans.jsonl", "--export", "console")
        assert (report.code, report["findings"]) == (0, [])
        states = {row["name"]: row["state"] for row in report["exporters"]}
        assert states == {"console": "not checked", "file": "takes spans"}
        assert list(launch.folder.iterdir()) == []

    def test_one_that_can_never_work_is_an_error(self, launch: Launcher) -> None:
        environ = {"OTEL_EXPORTER_OTLP_CERTIFICATE": "no_such.pem"}
        report = Report(launch, "--endpoint", "https://127.0.0.1:1", **environ)
        assert report.code == 1
        (line,) = report.lines("error")
        assert line.startswith("OTEL_EXPORTER_OTLP_CERTIFICATE")
        assert report.row("exporters", "otlp")["state"] == "unusable"


class TestMetrics:
    """Whether anybody takes the metrics, or may come for them."""

    @pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
    def test_a_receiver_is_asked_and_gets_none(
        self, protocol: str, launch: Launcher, receiver: HttpReceiver
    ) -> None:
        over_grpc = GrpcReceiver()
        url = over_grpc.url if protocol == "grpc" else receiver.url
        try:
            report = Report(launch, "--protocol", protocol, "--endpoint", url)
        finally:
            over_grpc.close()
        assert (report.code, report["findings"]) == (0, [])
        assert report["metrics"] == [
            {
                "name": "otlp",
                "label": f"the OTLP receiver at {url}",
                "state": "takes metrics",
                "why": "",
            }
        ]
        asked = receiver.received.metrics + over_grpc.received.metrics
        assert [request.ByteSize() for request in asked] == [0]

    def test_one_that_takes_spans_alone_is_a_note(
        self, launch: Launcher, receiver: HttpReceiver
    ) -> None:
        receiver.metrics_status = 404
        report = Report(launch, "--endpoint", receiver.url)
        assert report.code == 0
        assert report.lines("note") == [
            f"the OTLP receiver at {receiver.url} takes no metrics (404 Not Found); "
            "OTEL_METRICS_EXPORTER=none if that is meant"
        ]

    def test_a_port_is_tried_and_left(self, launch: Launcher) -> None:
        port = free_port()
        report = Report(launch, "--export", "none", "--metrics-port", str(port))
        assert (report.code, report["findings"]) == (0, [])
        (row,) = report["metrics"]
        assert (row["name"], row["state"]) == ("prometheus", "can listen")
        assert row["label"] == f"http://localhost:{port}/metrics"

    def test_a_host_that_is_none_is_an_error(self, launch: Launcher) -> None:
        environ = {"OTEL_EXPORTER_PROMETHEUS_HOST": "no.such.host.invalid"}
        report = Report(launch, "--export", "none", "--metrics-port", "0", **environ)
        assert report.code == 1
        (line,) = report.lines("error")
        assert line.startswith("no metrics are served: any port of no.such.host.invalid cannot be")


class TestLibraries:
    """Libraries that are not as they were when whence was tested with them."""

    def test_one_of_another_version_that_lacks_things_is_an_error(self, launch: Launcher) -> None:
        source = "__version__ = '0.99.1'\nclass Loop:\n    pass\n"
        launch.write("stubs/uvloop/__init__.py", source)
        report = nothing_sent(launch, PYTHONPATH=str(launch.folder / "stubs"))
        assert report.code == 1
        failed = report.row("instrumentations", "uvloop_connections")
        assert (failed["state"], failed["version"]) == ("failed", "0.99.1")
        assert (failed["is_tested"], failed["patched"]) == (False, [])
        start = f"uvloop_connections is not instrumented ({failed['why']}); what goes through it"
        (line,) = (line for line in report.lines("error") if line.startswith(start))
        assert line.endswith("; use uvloop>=0.22,<0.24")
        skipped = report.row("instrumentations", "uvloop_leftovers")["skipped"]
        assert skipped == {"uvloop.Loop.close": "absent"}
        warnings = " ".join(report.lines("warning"))
        assert "uvloop_leftovers does not patch uvloop.Loop.close (absent)" in warnings
        assert "uvloop 0.99.1 is not among the versions that whence is tested with" in warnings
        assert "is not instrumented" not in warnings
        assert report.row("loops", "uvloop")["error"].startswith("AttributeError")
        assert report.row("instrumentations", "callbacks")["state"] == "in"

    def test_one_that_cannot_be_imported_is_a_warning(self, launch: Launcher) -> None:
        launch.write("stubs/aiohttp/__init__.py", "raise RuntimeError('libfoo is missing')")
        report = nothing_sent(launch, PYTHONPATH=str(launch.folder / "stubs"))
        assert report.code == 0
        assert report.row("instrumentations", "aiohttp")["state"] == "broken"
        assert report.lines("warning") == [
            "aiohttp.web_protocol cannot be imported (RuntimeError: libfoo is missing); "
            "a program that uses it fails too"
        ]

    def test_a_part_of_a_library_that_is_not_there_is_no_warning(self, launch: Launcher) -> None:
        launch.write("stubs/hypercorn/__init__.py", "")
        report = nothing_sent(launch, PYTHONPATH=str(launch.folder / "stubs"))
        assert report.row("instrumentations", "hypercorn")["state"] == "not installed"
        assert report.lines("warning") == []

    def test_instrumentations_of_other_distributions_are_in_the_list(
        self, launch: Launcher
    ) -> None:
        launch.write("site/thelib.py", "__version__ = '4.2'\nclass Lib:\n    work = print\n")
        source = "import thelib\ndef install(patches):\n    patches.replace(thelib.Lib, 'work', id)"
        launch.write("site/theirs.py", source)
        launch.write("site/theirs-1.0.dist-info/METADATA", "Name: theirs\nVersion: 1.0\n")
        offered = "[whence.instrumentation]\nthelib = theirs\nthelib2 = theirs\n"
        launch.write("site/theirs-1.0.dist-info/entry_points.txt", offered)
        report = nothing_sent(launch, PYTHONPATH=str(launch.folder / "site"))
        theirs = report.row("instrumentations", "thelib")
        assert (theirs["state"], theirs["version"]) == ("in", "4.2")
        assert theirs["patched"] == ["thelib.Lib.work"]
        assert report.row("instrumentations", "thelib2")["state"] == "not installed"
        assert report.code == 0

    def test_a_loop_on_which_nothing_is_seen_is_an_error_that_names_it(
        self, launch: Launcher
    ) -> None:
        source = """
            import asyncio

            class Blind(asyncio.SelectorEventLoop):
                def call_soon(self, callback, *args, context=None):
                    handle = asyncio.Handle(callback, args, self, context)
                    self._ready.append(handle)
                    return handle

            class Policy(asyncio.DefaultEventLoopPolicy):
                _loop_factory = Blind

            asyncio.set_event_loop_policy(Policy())
        """
        launch.write("site/blind.py", source)
        launch.write("site/sitecustomize.py", "import blind\n")
        report = nothing_sent(launch, PYTHONPATH=str(launch.folder / "site"))
        assert report.code == 1
        assert report.row("loops", "asyncio")["class"] == "blind.Blind"
        (error,) = report.lines("error")
        assert error.startswith("a task on the loop blind.Blind was not seen (Handle, Task); ")
        (warning,) = report.lines("warning")
        assert warning.startswith("the event loop blind.Blind makes its handles itself")
        impossible = report.row("instrumentations", "foreign_loops")["impossible"]
        assert list(impossible) == ["callbacks, timers and tasks on blind.Blind"]


class TestConflicts:
    """What else is there at start-up."""

    def test_other_agents_and_monkey_patches_are_named(self, launch: Launcher) -> None:
        launch.write("site/ddtrace/__init__.py", "")
        launch.write("site/gevent/__init__.py", "")
        launch.write("site/gevent/monkey.py", "saved = {'socket': {}, '_thread': {}}")
        noise = (
            "import os, ddtrace, gevent.monkey\n'WHENCE_ATTACH' in os.environ and print('noise')"
        )
        launch.write("site/sitecustomize.py", noise)
        report = nothing_sent(launch, PYTHONPATH=str(launch.folder / "site"))
        assert report.code == 0
        (warning,) = report.lines("warning")
        assert warning.startswith("ddtrace is loaded before the program begins; ")
        (note,) = (line for line in report.lines("note") if line.startswith("gevent"))
        assert note.startswith("gevent has patched socket before the program begins; ")

    def test_a_sitecustomize_that_is_hidden_by_another_is_named(self, launch: Launcher) -> None:
        files = [launch.folder / name / "sitecustomize.py" for name in ("first", "second")]
        for file in files:
            launch.write(f"{file.parent.name}/sitecustomize.py", "")
        path = os.pathsep.join([FOLDER, *(str(file.parent) for file in files)])
        report = nothing_sent(launch, PYTHONPATH=path)
        assert report.code == 0
        assert report["sitecustomizes"][:2] == [str(file) for file in files]
        assert report.lines("note")[0].startswith(
            f"{files[1]} does not run; {files[0]} comes first on the path"
        )

    def test_a_sitecustomize_that_fails_is_named_with_its_error(self, launch: Launcher) -> None:
        source = "import os\nif 'WHENCE_ATTACH' in os.environ: raise ValueError('mine')"
        launch.write("site/sitecustomize.py", source)
        report = nothing_sent(launch, PYTHONPATH=str(launch.folder / "site"))
        assert report.code == 0
        (warning,) = report.lines("warning")
        assert warning.startswith("a sitecustomize or usercustomize fails (ValueError: mine); ")

    def test_the_launcher_of_another_agent_is_named(self, launch: Launcher) -> None:
        launcher = launch.write("opentelemetry-instrument", f"#!{sys.executable}\n")
        (launch.folder / launcher).chmod(0o755)
        report = nothing_sent(launch, f"./{launcher}", "app.py")
        (warning,) = report.lines("warning")
        assert warning.startswith("./opentelemetry-instrument starts the program with ")

    def test_debug_mode_is_a_note(self, launch: Launcher) -> None:
        report = nothing_sent(launch, PYTHONASYNCIODEBUG="1")
        assert report.code == 0
        (note,) = report.lines("note")
        assert note.startswith("asyncio's debug mode is on, by PYTHONASYNCIODEBUG; ")
        assert report.row("loops", "asyncio")["debug"] is True


def foreign_python(launch: Launcher) -> str:
    """The Python of a new environment of this version that has nothing installed."""
    home = launch.folder / "foreign"
    venv.create(home, symlinks=os.name != "nt")
    scripts = Path(sysconfig.get_path("scripts", "venv", {"base": str(home)}))
    return str(scripts / Path(sys.executable).name)


def site_packages_without_pth(launch: Launcher) -> Path:
    """A folder with whence, as a wheel lays it out, and what it cannot do without."""
    site_packages = launch.folder / "site-packages"
    package = site_packages / "whence"
    package.mkdir(parents=True)
    parts = {path.name: path for path in (ROOT / "agent").iterdir()}
    parts |= {name: ROOT / name for name in ("instrumentation", "exporters", "sitecustomize")}
    for name, path in parts.items():
        (package / name).symlink_to(path)
    (site_packages / "wrapt").symlink_to(Path(wrapt.__file__).parent)
    return site_packages


needs_links = pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")


class TestPythons:
    """Other Pythons than the one that runs the doctor."""

    def test_one_without_whence_does_not_attach(self, launch: Launcher) -> None:
        python = foreign_python(launch)
        report = nothing_sent(launch, python)
        assert report.code == 1
        assert report.lines("error") == [
            "whence run does not attach to this Python; whence is not installed for it; "
            f"{python} -m pip install whence"
        ]
        assert report["interpreter"]["prefix"] == str(Path(python).parent.parent)
        assert not report["attaching"]["whence run"]["attaches"]
        assert (report["instrumentations"], report["engine"]) == ([], None)

    @needs_links
    def test_one_that_borrows_whence_attaches_under_run_alone(self, launch: Launcher) -> None:
        borrowed = site_packages_without_pth(launch)
        python = foreign_python(launch)
        report = nothing_sent(launch, "--", python, PYTHONPATH=str(borrowed))
        assert report.code == 0
        assert report["attaching"] == {
            "whence run": {"attaches": True, "by": "sitecustomize on PYTHONPATH"},
            "WHENCE_ATTACH=1": {"attaches": False, "by": None},
        }
        alone, not_installed = report.lines("note")
        folder = borrowed / "whence" / "sitecustomize"
        assert alone.startswith("WHENCE_ATTACH=1 alone does not attach; there is no whence.pth")
        assert alone.endswith(f"; add {folder} to PYTHONPATH")
        assert not_installed.startswith("whence is not installed for this Python")
        assert report.row("instrumentations", "callbacks")["state"] == "in"
        aiohttp = report.row("instrumentations", "aiohttp")
        assert (aiohttp["state"], aiohttp["version"]) == ("not installed", None)

    @needs_links
    def test_that_the_environment_attaches_nothing_is_an_error_where_it_says_so(
        self, launch: Launcher
    ) -> None:
        borrowed = site_packages_without_pth(launch)
        report = nothing_sent(
            launch, foreign_python(launch), PYTHONPATH=str(borrowed), WHENCE_ATTACH="1"
        )
        assert report.code == 1
        (line,) = report.lines("error")
        assert line.startswith("WHENCE_ATTACH=1 alone does not attach; ")

    @pytest.mark.parametrize("flag", ["-S", "-IS"])
    def test_without_site_nothing_attaches(self, flag: str, launch: Launcher) -> None:
        report = nothing_sent(launch, launch.python, flag, "app.py")
        assert report.code == 1
        assert report["command"] == [launch.python, flag]
        assert report["interpreter"]["flags"]["no_site"]
        assert report.lines("error") == [
            "whence run does not attach to this Python; -S keeps site from running; "
            "leave -S out, or call whence.attach()"
        ]

    def test_an_isolated_one_attaches_by_the_pth_file(self, launch: Launcher) -> None:
        report = nothing_sent(launch, launch.python, "-I", "-m", "app")
        assert report.code == 0
        assert report["attaching"]["whence run"] == {"attaches": True, "by": "whence.pth"}

    def test_one_of_another_version_is_asked_too(self, launch: Launcher) -> None:
        python, version = other_python(launch)
        report = nothing_sent(launch, python)
        assert report.code == 1
        assert report["interpreter"]["version"].startswith(f"{version[0]}.{version[1]}.")
        (line,) = report.lines("error")
        if version < (3, 11):
            assert line.startswith(
                f"this is Python {report['interpreter']['version']}; whence needs"
            )
        else:
            assert line.startswith("whence run does not attach to this Python; whence is not inst")

    def test_what_is_no_python_is_said_so(self, launch: Launcher) -> None:
        script = launch.folder / "python3"
        script.write_text("#!/bin/sh\necho 'illegal instruction' >&2\nexit 3\n")
        script.chmod(0o755)
        report = nothing_sent(launch, "./python3")
        assert report.code == 1
        assert report.lines("error") == [
            "./python3 is no Python 3 that runs programs (illegal instruction, exit code 3)"
        ]

    def test_a_broken_whence_is_said_so(self, launch: Launcher) -> None:
        launch.write("broken/whence/__init__.py", "raise RuntimeError('half installed')")
        python = foreign_python(launch)
        ran = launch(
            launch.python,
            "-c",
            "import sys; from whence.cli import main; import os;"
            f"os.environ['PYTHONPATH'] = {str(launch.folder / 'broken')!r};"
            f"sys.exit(main(['doctor', '--json', '--export', 'none', {python!r}]))",
        )
        assert (ran.code, ran.err) == (1, "")
        (found,) = json.loads(ran.out)["findings"]
        assert found["follows"] == "whence cannot be imported (RuntimeError: half installed)"


def other_python(launch: Launcher) -> tuple[str, tuple[int, int]]:
    """A Python 3 of another version, if this machine has one."""
    found = [shutil.which(f"python3.{minor}") for minor in range(8, 20)]
    found += [str(path) for path in Path(sys.base_prefix).parent.glob("*3.*/bin/python3")]
    source = "import sys; print(*sys.version_info[:2])"
    for python in filter(None, found):
        ran = launch(python, "-c", source)
        version = tuple(map(int, ran.out.split()))
        if ran.code == 0 and version != sys.version_info[:2]:
            return python, (version[0], version[1])
    pytest.skip("there is no other Python here")
