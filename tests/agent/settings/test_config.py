import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from whence.settings.config import (
    SettingError,
    Settings,
    disabled_by,
    is_on,
    keyword_layer,
    project_layer,
    resolve,
)
from whence.settings.options import BY_NAME, TABLE, Setting


def settings(environ: Mapping[str, str] = {}, /, **options: str) -> Settings:
    layer = {name: (BY_NAME[name].option, text) for name, text in options.items()}
    return resolve(layer, environ=environ)


def error(environ: Mapping[str, str] = {}, /, **options: str) -> str:
    with pytest.raises(SettingError) as caught:
        settings(environ, **options)
    return str(caught.value)


def test_the_defaults_are_those_of_the_manual() -> None:
    chosen = settings({"WHENCE_COMMAND": "shop"})
    values = {row.name: getattr(chosen, row.name) for row in TABLE}
    assert values == {
        "service": "shop",
        "endpoint": "http://localhost:4318",
        "protocol": "http/protobuf",
        "export": ("otlp",),
        "output": None,
        "types": None,
        "include": (),
        "exclude": (),
        "disable": (),
        "sample": 1.0,
        "min_duration": 1.0,
        "max_spans": 2000,
        "max_rate": 0,
        "segment": 60.0,
        "stacks": 1,
        "slow": 100.0,
        "metrics_port": None,
        "dashboard": False,
        "on_exit": "report",
        "on_signal": "none",
        "no_messages": False,
        "no_live": False,
        "no_child": False,
        "quiet": False,
        "verbose": False,
    }
    assert {chosen.origin(row.name) for row in TABLE} == {"default"}


def test_the_names_of_a_setting_follow_from_one() -> None:
    row = BY_NAME["min_duration"]
    assert (row.option, row.variable) == ("--min-duration", "WHENCE_MIN_DURATION")


def test_option_beats_variable_beats_opentelemetry_beats_project_beats_default() -> None:
    def service(*sources: str) -> tuple[str, str]:
        environ = {"WHENCE_COMMAND": "by default"}
        if "variable" in sources:
            environ["WHENCE_SERVICE"] = "by variable"
        if "otel" in sources:
            environ["OTEL_SERVICE_NAME"] = "by otel"
        option = {"service": ("--service", "by option")} if "option" in sources else {}
        project = project_layer({"service": "by project"} if "project" in sources else {}, "p")
        chosen = resolve(option, environ=environ, project=project)
        return chosen.service, chosen.origin("service")

    assert service("option", "variable", "otel", "project") == ("by option", "--service")
    assert service("variable", "otel", "project") == ("by variable", "WHENCE_SERVICE")
    assert service("otel", "project") == ("by otel", "OTEL_SERVICE_NAME")
    assert service("project") == ("by project", "service in [tool.whence] of p")
    assert service() == ("by default", "default")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_setting_is_read_alike_from_option_variable_keyword_and_project(
    row: Setting,
) -> None:
    text = {
        "service": "shop",
        "endpoint": "https://collector:4318/base",
        "protocol": "grpc",
        "export": "console,file",
        "output": "/x/%p.jsonl",
        "types": "Task,Timer",
        "include": "shop.*,cart",
        "exclude": "aiohttp.*,name:poll_*",
        "disable": "aiohttp,subprocesses",
        "sample": "0.25",
        "min_duration": "2.5",
        "max_spans": "10",
        "max_rate": "500",
        "segment": "5",
        "stacks": "7",
        "slow": "50",
        "metrics_port": "9464",
        "dashboard": "true",
        "on_exit": "none",
        "on_signal": "why",
        "no_messages": "true",
        "no_live": "true",
        "no_child": "true",
        "quiet": "true",
        "verbose": "true",
    }[row.name]
    by_option = settings(**{row.name: text})
    value = getattr(by_option, row.name)
    assert value != getattr(settings(), row.name)
    assert getattr(settings({row.variable: text}), row.name) == value
    native = {"tuple": list, "frozenset": list}.get(type(value).__name__, lambda it: it)(value)
    assert getattr(resolve(keyword_layer({row.name: native}), environ={}), row.name) == value
    project = project_layer({row.name.replace("_", "-"): native}, "p")
    assert getattr(resolve(environ={}, project=project), row.name) == value
    assert getattr(settings({row.variable: by_option.text(row.name)}), row.name) == value


WRONG = [
    ("service", " ", "expected a text that is not empty, not ' '"),
    ("endpoint", "localhost:4318", "expected a URL such as http://localhost:4318, not"),
    ("endpoint", "http://", "expected a URL such as"),
    ("endpoint", "http://:4318", "expected a URL such as"),
    ("endpoint", "http://localhost:99999", "its port from 1 to 65535, not"),
    ("endpoint", "http://[::1]:port/v1", "its port from 1 to 65535, not"),
    ("protocol", "http/json", "expected one of http/protobuf, grpc, not 'http/json'"),
    (
        "export",
        "otpl",
        "one of otlp, console, file, none, or an installed exporter, not 'otpl'",
    ),
    ("export", "none,otlp", "expected none alone, or other exporters without it, not"),
    ("export", "otlp,,file", "expected a comma list without empty items, not 'otlp,,file'"),
    ("output", "", "expected a text that is not empty, not ''"),
    ("types", "Tusk", "expected types out of Task, Future, Handle"),
    ("types", "Task,-Tusk", "or all, not '-Tusk'"),
    ("types", "-all", "or all, not '-all'"),
    ("include", "a,,b", "expected a comma list without empty items, not 'a,,b'"),
    ("include", "modul:a", "expected globs such as shop.*, module:shop, name:poll_*, type:"),
    ("include", "shop,name:", "or trace:GET /x, not 'name:'"),
    ("exclude", ":shop", "or trace:GET /x, not ':shop'"),
    ("disable", "aiohttp,,tls", "expected a comma list without empty items, not 'aiohttp,,tls'"),
    ("sample", "1.1", "expected a ratio from 0 to 1, not '1.1'"),
    ("sample", "nan", "expected a ratio from 0 to 1, not 'nan'"),
    ("min_duration", "-1", "expected a number of milliseconds, 0 or more, not '-1'"),
    ("min_duration", "inf", "expected a number of milliseconds, 0 or more, not 'inf'"),
    ("max_spans", "0", "expected a whole number of spans, 1 or more, not '0'"),
    ("max_spans", "1.5", "expected a whole number of spans, 1 or more, not '1.5'"),
    ("max_rate", "-1", "expected a whole number of spans a second, 0 for no limit, not '-1'"),
    ("max_rate", "1e3", "a whole number of spans a second, 0 for no limit, not '1e3'"),
    ("segment", "0", "expected a number of seconds above 0, not '0'"),
    ("stacks", "all", "expected off, site, or a number of frames from 0 to 128, not 'all'"),
    ("stacks", "129", "expected off, site, or a number of frames from 0 to 128, not '129'"),
    ("slow", "soon", "expected a number of milliseconds above 0, not 'soon'"),
    ("metrics_port", "65536", "expected a port from 0 (any free one) to 65535, not '65536'"),
    ("dashboard", "maybe", "expected 1 or 0, not 'maybe'"),
    ("on_exit", "dump", "expected one of report, why, none, not 'dump'"),
    ("on_signal", "dump", "expected one of why, none, not 'dump'"),
    ("no_messages", "some", "expected 1 or 0, not 'some'"),
    ("no_live", "2", "expected 1 or 0, not '2'"),
    ("no_child", "2", "expected 1 or 0, not '2'"),
    ("quiet", "very", "expected 1 or 0, not 'very'"),
    ("verbose", "-", "expected 1 or 0, not '-'"),
    ("slow", "1\n2", r"expected a number of milliseconds above 0, not '1\n2'"),
    ("slow", "\udcff", r"expected a number of milliseconds above 0, not '\udcff'"),
    ("slow", "9" * 101 + "x", f"not '{'9' * 100}...'"),
]


def test_every_setting_has_a_wrong_value_here() -> None:
    assert {name for name, _, _ in WRONG} == BY_NAME.keys()


@pytest.mark.parametrize(("name", "text", "complaint"), WRONG)
def test_a_wrong_value_names_the_setting_what_was_expected_and_what_came(
    name: str, text: str, complaint: str
) -> None:
    by_option = error({}, **{name: text})
    assert by_option.startswith(f"{BY_NAME[name].option}: ")
    assert complaint in by_option
    assert "\n" not in by_option
    said = by_option.removeprefix(BY_NAME[name].option)
    with pytest.raises(SettingError) as by_keyword:
        resolve(keyword_layer({name: text}), environ={})
    assert str(by_keyword.value) == name + said
    with pytest.raises(SettingError) as by_project:
        resolve(environ={}, project=project_layer({name: text}, "p.toml"))
    assert str(by_project.value) == f"{name} in [tool.whence] of p.toml{said}"
    # An empty variable counts as not set.
    if text:
        assert error({BY_NAME[name].variable: text}) == BY_NAME[name].variable + said


def test_a_wrong_value_says_whether_it_came_from_the_environment() -> None:
    def variable(environ: Mapping[str, str], **options: str) -> str | None:
        with pytest.raises(SettingError) as caught:
            settings(environ, **options)
        return caught.value.variable

    assert variable({"WHENCE_SLOW": "x"}) == "WHENCE_SLOW"
    assert variable({"OTEL_TRACES_EXPORTER": "x"}) == "OTEL_TRACES_EXPORTER"
    assert variable({}, slow="x") is None


def test_an_option_replaces_a_wrong_variable() -> None:
    assert settings({"WHENCE_SLOW": "x"}, slow="5").slow == 5.0


def test_an_empty_variable_counts_as_not_set() -> None:
    chosen = settings({"WHENCE_SLOW": "", "WHENCE_SERVICE": "", "OTEL_SERVICE_NAME": "shop"})
    assert (chosen.slow, chosen.service) == (100.0, "shop")


def test_a_boolean_is_no_number() -> None:
    with pytest.raises(SettingError, match=r"max_spans: expected a whole number .*, not 'true'"):
        resolve(keyword_layer({"max_spans": True}), environ={})


def test_an_unknown_keyword_lists_the_known_ones() -> None:
    with pytest.raises(SettingError, match="colour: expected a setting out of service, endpoint"):
        keyword_layer({"colour": "red"})


def test_an_unknown_key_of_the_project_names_its_file() -> None:
    with pytest.raises(
        SettingError, match=r"colour in \[tool.whence\] of p.toml: expected a setting"
    ):
        project_layer({"colour": "red"}, "p.toml")


def test_a_keyword_that_is_none_counts_as_not_given() -> None:
    assert resolve(keyword_layer({"slow": None}), environ={"WHENCE_SLOW": "5"}).slow == 5.0


def test_settings_are_read_only() -> None:
    chosen = settings()
    with pytest.raises(AttributeError, match="settings are read-only, slow cannot be set"):
        chosen.slow = 1.0
    with pytest.raises(AttributeError, match="settings are read-only, slow cannot be deleted"):
        del chosen.slow
    assert chosen.slow == 100.0


def test_the_repr_shows_what_was_given() -> None:
    assert repr(settings(slow="5", export="none")) == "Settings(export=('none',), slow=5.0)"


class TestOpenTelemetry:
    """Which OTEL_* variables decide, and which are left to the exporters."""

    @pytest.mark.parametrize(
        "variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
    )
    def test_its_endpoint_is_left_to_the_exporters(self, variable: str) -> None:
        chosen = settings({variable: "http://collector:4318"})
        assert chosen.endpoint is None
        assert chosen.text("endpoint") == "http://collector:4318"
        assert chosen.origin("endpoint") == variable

    def test_its_endpoint_beats_the_project_and_loses_to_ours(self) -> None:
        otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:1"}
        project = project_layer({"endpoint": "http://project:1"}, "p")
        assert resolve(environ=otel, project=project).endpoint is None
        assert settings(otel | {"WHENCE_ENDPOINT": "http://ours:1"}).endpoint == "http://ours:1"
        assert settings(otel, endpoint="http://option:1").endpoint == "http://option:1"

    def test_its_protocol_is_left_to_the_exporters(self) -> None:
        chosen = settings({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
        assert chosen.protocol is None
        assert chosen.endpoint == "http://localhost:4317"

    def test_its_sampler_is_left_to_the_exporters(self) -> None:
        sampler = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
        assert settings(sampler).sample is None
        assert settings(sampler, sample="0.5").sample == 0.5

    def test_its_signal_variables_beat_its_general_ones(self) -> None:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://general:1",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:1",
        }
        assert settings(environ).origin("endpoint") == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"

    @pytest.mark.parametrize(
        ("attributes", "service"),
        [
            ("service.name=shop", "shop"),
            ("deployment.environment=prod, service.name = the%20shop ", "the shop"),
            ("service.namespace=x", "command"),
            ("service.name=", "command"),
            ("service.name", "command"),
        ],
    )
    def test_the_service_name_among_its_resource_attributes_counts(
        self, attributes: str, service: str
    ) -> None:
        environ = {"OTEL_RESOURCE_ATTRIBUTES": attributes, "WHENCE_COMMAND": "command"}
        assert settings(environ).service == service

    def test_its_service_name_beats_the_resource_attribute(self) -> None:
        environ = {
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=attribute",
            "OTEL_SERVICE_NAME": "name",
        }
        assert settings(environ).service == "name"

    def test_its_traces_exporter_counts(self) -> None:
        assert settings({"OTEL_TRACES_EXPORTER": "none"}).export == ("none",)
        assert settings({"OTEL_TRACES_EXPORTER": "none"}, export="file").export == ("file",)


class TestExportAndOutput:
    """`-o` implies the exporter that writes there."""

    def test_over_grpc_the_default_endpoint_is_its_port(self) -> None:
        assert settings(protocol="grpc").endpoint == "http://localhost:4317"

    def test_an_output_implies_the_file_exporter_alone(self) -> None:
        assert settings(output="/x").export == ("file",)

    def test_an_output_is_added_to_the_exports_that_were_asked_for(self) -> None:
        assert settings(output="/x", export="otlp").export == ("otlp", "file")
        assert settings(output="/x", export="file,otlp").export == ("file", "otlp")

    def test_an_output_with_no_export_is_an_error(self) -> None:
        text = error({"WHENCE_EXPORT": "none"}, output="/x")
        assert text == "--output: expected an export to write to '/x', but WHENCE_EXPORT is none"

    def test_a_file_without_a_name_is_called_after_the_process(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        chosen = settings(export="file")
        assert chosen.output == str(tmp_path / "whence-%p.jsonl")

    def test_p_stands_for_the_pid(self) -> None:
        pid = os.getpid()
        assert settings(output="/x/%p/%p").output_path() == f"/x/{pid}/{pid}"
        assert settings().output_path() is None

    def test_an_output_is_absolute_from_the_start(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert settings(output="x").output == str(tmp_path / "x")

    def test_exports_are_named_once(self) -> None:
        assert settings(export="otlp,file,otlp").export == ("otlp", "file")


class TestGlobs:
    """What --include and --exclude need."""

    def test_modules_are_known_by_creation_sites(self) -> None:
        text = error({"WHENCE_STACKS": "off"}, exclude="module:shop")
        assert text == (
            "--exclude: expected creation sites to match 'module:shop' with, "
            "but WHENCE_STACKS is off"
        )

    def test_names_and_types_need_no_sites(self) -> None:
        chosen = settings(stacks="off", include="poll_*,name:a,type:Task")
        assert chosen.include == ("poll_*", "name:a", "type:Task")


class TestTypes:
    """The words of --types."""

    def test_names_choose_those_alone(self) -> None:
        assert settings(types="Task, Future").types == frozenset({"Task", "Future"})

    def test_a_list_that_only_removes_starts_from_the_default(self) -> None:
        chosen = settings(types="-Task,-Timer").types
        assert chosen is not None
        assert "Request" in chosen
        assert chosen.isdisjoint({"Task", "Timer", "Future", "Handle"})

    def test_what_is_named_and_removed_is_not_chosen(self) -> None:
        assert settings(types="Task,Timer,-Timer").types == frozenset({"Task"})

    def test_all_is_every_type(self) -> None:
        everything = settings(types="all").types
        assert everything is not None
        assert {"Handle", "Future", "Task", "Request"} <= everything
        assert settings(types="all,-Handle").types == everything - {"Handle"}

    def test_an_unknown_type_lists_the_known_ones(self) -> None:
        text = error(types="Tusk")
        for name in ("Task", "Future", "Handle", "TimerHandle", "DatagramTransport", "Request"):
            assert name in text
        assert text.endswith("not 'Tusk'")


def test_stacks_are_a_number_of_frames() -> None:
    assert [settings(stacks=text).stacks for text in ("off", "site", "12")] == [0, 1, 12]


def test_a_dashboard_is_a_switch_or_the_address_that_was_found() -> None:
    assert settings(dashboard="1").dashboard is True
    found = settings({"WHENCE_DASHBOARD": "http://localhost:4380"})
    assert found.dashboard == found.text("dashboard") == "http://localhost:4380"


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({}, None),
        ({"WHENCE_DISABLED": "1"}, "WHENCE_DISABLED"),
        ({"WHENCE_DISABLED": "0"}, None),
        ({"WHENCE_DISABLED": ""}, None),
        ({"OTEL_SDK_DISABLED": "True"}, "OTEL_SDK_DISABLED"),
        ({"OTEL_SDK_DISABLED": "1"}, None),
    ],
)
def test_two_variables_switch_the_agent_off(environ: dict[str, str], variable: str | None) -> None:
    assert disabled_by(environ) == variable


def test_a_switch_is_on_unless_it_is_empty_or_says_no() -> None:
    assert [text for text in ("1", "true", "yes", "2", "x") if not is_on(text)] == []
    assert [text for text in (None, "", "0", "False", "no", "OFF") if is_on(text)] == []
