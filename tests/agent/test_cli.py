import pytest

from launching import Launcher
from whence.cli import HELP, main
from whence.settings.options import TABLE
from whence.version import VERSION


def test_the_help_fits_on_a_screen_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("-h", "--help", "help"):
        assert main([word]) == 0
        assert capsys.readouterr() == (HELP, "")
    assert len(HELP.splitlines()) <= 40
    assert max(map(len, HELP.splitlines())) <= 100
    assert HELP.count("whence run ") >= 4


def test_without_words_the_help_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr() == ("", HELP)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"whence {VERSION}\n"


def test_the_help_of_run_lists_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    out, err = capsys.readouterr()
    assert [row.option for row in TABLE if row.option not in out] == []
    assert err == ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["app.py"], "whence: expected a command out of run, env, doctor, demo, dashboard, "),
        (["--slow"], "whence: expected a command out of run, env, doctor, demo, dashboard, "),
        (["ps", "--nope"], "whence ps: unrecognized arguments: --nope"),
        (["ps", "--limit", "x"], "whence ps: argument --limit: expected a whole number, 0 or more"),
        (["ps", "--sort", "x"], "whence ps: argument --sort: invalid choice: 'x'"),
        (["diff", "only-one"], "whence diff: the following arguments are required: B"),
        (["why", "1", "x"], "whence why: argument ID: expected a whole number, 2 or more"),
        (["run"], "whence run: expected a program: script.py, -m module or a command"),
        (["run", "-q"], "whence run: expected a program: script.py, -m module or a command"),
        (["run", "-m"], "whence run: -m: expected a module after it"),
        (["run", "--nope", "app.py"], "whence run: --nope: expected an option"),
        (
            ["run", "--slow", "x", "app.py"],
            "whence run: --slow: expected a number of milliseconds above 0, not 'x'",
        ),
        (["env", "app.py"], "whence env: expected options only, not 'app.py'"),
        (["env", "--sample", "2"], "whence env: --sample: expected a ratio from 0 to 1, not '2'"),
    ],
)
def test_a_usage_error_is_one_line_and_code_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(complaint)
    assert err.count("\n") == 1


def test_python_m_whence_is_the_command(launch: Launcher) -> None:
    assert launch(launch.python, "-m", "whence", "--version").out == f"whence {VERSION}\n"


def test_both_console_scripts_are_installed(launch: Launcher) -> None:
    scripts = launch.scripts()
    assert launch(str(scripts / "whence"), "--version").out == f"whence {VERSION}\n"
    ran = launch(str(scripts / "whence-agent"), "-q", launch.python, "-c", "print('hello')")
    assert (ran.code, ran.out, ran.err) == (0, "hello\n", "")


class TestEnv:
    """`whence env`."""

    def test_it_shows_each_value_and_where_it_comes_from(self, launch: Launcher) -> None:
        launch.write("pyproject.toml", "[tool.whence]\nsegment = 30\n")
        environ = {"WHENCE_SLOW": "5", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
        shown = launch(*launch.whence, "env", "--sample", "0.5", env=environ)
        rows = {line.split()[1]: line.split()[2:] for line in shown.out.splitlines()[: len(TABLE)]}
        assert rows["sample"] == ["0.5", "--sample"]
        assert rows["slow"] == ["5", "WHENCE_SLOW"]
        assert rows["endpoint"] == ["http://collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        assert rows["segment"][:4] == ["30", "segment", "in", "[tool.whence]"]
        assert rows["export"] == ["otlp", "default"]
        assert list(rows) == [row.name for row in TABLE]

    def test_its_lines_attach_the_pythons_of_a_shell(self, launch: Launcher) -> None:
        launch.write("app.py", "import whence, json; from whence.attaching import settings\n")
        source = "from whence.attaching import settings; s = settings(); print(s.service, s.slow)"
        shell = f'eval "$(\'{launch.python}\' -m whence env --service "my shop" --slow 5 2>&1)"\n'
        shell += f"'{launch.python}' -c '{source}'\n"
        ran = launch("/bin/sh", "-e", stdin=shell)
        assert ran.out == "my shop 5.0\n"

    def test_it_says_when_the_agent_is_switched_off(self, launch: Launcher) -> None:
        shown = launch(*launch.whence, "env", env={"WHENCE_DISABLED": "1"})
        assert "# WHENCE_DISABLED is set: the agent stays off" in shown.out.splitlines()

    def test_it_does_not_take_the_path_of_the_user_away(self, launch: Launcher) -> None:
        shown = launch(*launch.whence, "env", env={"PYTHONPATH": "/somewhere"})
        (line,) = [line for line in shown.out.splitlines() if line.startswith("export PYTHONPATH=")]
        assert line.endswith("sitecustomize:/somewhere")
