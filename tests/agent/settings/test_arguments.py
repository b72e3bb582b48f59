import pytest

from whence.settings.arguments import HelpWanted, UsageError, options_help, read_options
from whence.settings.options import TABLE


@pytest.mark.parametrize(
    ("words", "options", "program"),
    [
        (["app.py", "-q"], {}, ["app.py", "-q"]),
        (["-q", "app.py"], {"quiet": ("-q", "1")}, ["app.py"]),
        (["--slow", "5", "app.py"], {"slow": ("--slow", "5")}, ["app.py"]),
        (["--slow=5", "app.py"], {"slow": ("--slow", "5")}, ["app.py"]),
        (["--slow=", "app.py"], {"slow": ("--slow", "")}, ["app.py"]),
        (["-o", "f", "app.py"], {"output": ("-o", "f")}, ["app.py"]),
        (["-of", "app.py"], {"output": ("-o", "f")}, ["app.py"]),
        (["--", "-odd-name", "-q"], {}, ["-odd-name", "-q"]),
        (["-q", "--", "--"], {"quiet": ("-q", "1")}, ["--"]),
        (["-q", "-m", "mod", "-q"], {"quiet": ("-q", "1")}, ["-m", "mod", "-q"]),
        (["-mmod"], {}, ["-mmod"]),
        (["--service", "--", "app.py"], {"service": ("--service", "--")}, ["app.py"]),
        ([], {}, []),
    ],
)
def test_options_end_at_the_program(
    words: list[str], options: dict[str, tuple[str, str]], program: list[str]
) -> None:
    assert read_options(words) == (options, program)


def test_repeated_lists_add_up_and_other_options_replace() -> None:
    words = ["--export", "otlp", "--export=file", "--slow", "5", "--slow", "6", "app.py"]
    options, _ = read_options(words)
    assert options == {"export": ("--export", "otlp,file"), "slow": ("--slow", "6")}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--servce", "x"], "--servce: expected an option (did you mean --service?)"),
        (["--bogus", "x"], "--bogus: expected an option"),
        (["-x"], "-x: expected an option"),
        (["--slow"], "--slow: expected a value (MS) after it"),
        (["--quiet=1"], "--quiet: expected no value, not '1'"),
        (["-qv"], "-q: expected no value, not 'v'"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(words: list[str], complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_options(words)
    assert str(caught.value) == complaint


def test_help_is_for_us_only_before_the_program() -> None:
    with pytest.raises(HelpWanted):
        read_options(["-q", "--help", "app.py"])
    assert read_options(["app.py", "--help"]) == ({}, ["app.py", "--help"])


def test_the_help_has_one_line_for_each_option() -> None:
    lines = options_help().splitlines()
    assert len(lines) == len(TABLE) + 1
    for row, line in zip(TABLE, lines, strict=False):
        assert row.option in line
        assert line.endswith(row.help)
        assert len(line) <= 110
