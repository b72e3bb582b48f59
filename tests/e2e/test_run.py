"""`whence run`: the program is its own; what the agent adds is one line on stderr."""

import os
import re
import signal
import stat
import subprocess
import sys

import pytest

from launching import Launcher

posix_only = pytest.mark.skipif(os.name == "nt", reason="tells of POSIX processes")

START_LINE = re.compile(r"whence \S+  pid (\d+)  .*\n")

FACTS = """
    import json, os, sys
    from whence.attaching import attached, settings

    json.dump(
        {
            "argv": sys.argv,
            "attached": attached(),
            "settings": repr(settings()),
            "service": attached() and settings().service,
            "pid": os.getpid(),
            "path": sys.path,
            "main": __name__,
            "environ": dict(os.environ),
        },
        sys.stdout,
    )
"""


class TestProgram:
    """What runs, and with which words."""

    def test_a_script_runs_attached_with_its_own_words(self, launch: Launcher) -> None:
        facts = launch.run(launch.write("app.py", FACTS), "-q", "--slow", "x", "--").json
        assert facts["argv"] == ["app.py", "-q", "--slow", "x", "--"]
        assert facts["main"] == "__main__"
        assert facts["attached"] is True
        assert facts["service"] == "app"

    def test_a_module_runs_attached(self, launch: Launcher) -> None:
        launch.write("package/__init__.py", "")
        launch.write("package/tool.py", FACTS)
        facts = launch.run("-m", "package.tool", "-m", "x").json
        assert facts["argv"][1:] == ["-m", "x"]
        assert os.path.samefile(facts["argv"][0], launch.folder / "package/tool.py")
        assert (facts["attached"], facts["service"]) == (True, "package.tool")

    def test_a_folder_with_a_main_runs_attached(self, launch: Launcher) -> None:
        launch.write("shop/__main__.py", FACTS)
        facts = launch.run("shop", "x").json
        assert (facts["argv"], facts["service"]) == (["shop", "x"], "shop")

    def test_an_archive_runs_attached(self, launch: Launcher) -> None:
        launch.write("source/__main__.py", FACTS)
        made = launch(launch.python, "-m", "zipapp", "source", "-o", "shop.pyz")
        assert made.code == 0, made.err
        facts = launch.run("shop.pyz", "x").json
        assert (facts["argv"], facts["service"]) == (["shop.pyz", "x"], "shop")

    @posix_only
    def test_a_console_script_on_the_path_runs_attached(self, launch: Launcher) -> None:
        launch.write("bin/shopd", f"#!{launch.python}\n" + FACTS.replace("\n    ", "\n"))
        (launch.folder / "bin/shopd").chmod(0o755)
        path = f"{launch.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        facts = launch.run("shopd", "x", env={"PATH": path}).json
        assert facts["argv"] == [str(launch.folder / "bin/shopd"), "x"]
        assert (facts["attached"], facts["service"]) == (True, "shopd")

    def test_the_program_of_a_python_is_what_names_the_service(self, launch: Launcher) -> None:
        facts = launch.run(launch.python, "-u", launch.write("app.py", FACTS)).json
        assert facts["service"] == "app"

    @posix_only
    def test_the_pythons_of_a_shell_line_attach(self, launch: Launcher) -> None:
        launch.write("app.py", FACTS)
        facts = launch.run("sh", "-c", f"cd . && '{launch.python}' app.py; true").json
        assert (facts["attached"], facts["service"]) == (True, "sh")

    @posix_only
    def test_a_command_wins_over_a_folder_of_the_same_name(self, launch: Launcher) -> None:
        launch.write("true/__main__.py", "raise SystemExit('the folder ran')")
        assert launch.run("true").code == 0

    def test_options_end_at_two_dashes(self, launch: Launcher) -> None:
        facts = launch.run("-q", "--", launch.write("app.py", FACTS), "--").json
        assert facts["argv"] == ["app.py", "--"]

    def test_options_reach_the_agent(self, launch: Launcher) -> None:
        ran = launch.run(
            *("--service", "shop", "--min-duration=2.5", "--export", "none"),
            launch.write("app.py", FACTS),
        )
        assert ran.json["settings"] == (
            "Settings(service='shop', export=('none',), min_duration=2.5)"
        )

    def test_options_never_travel_as_variables_of_opentelemetry(self, launch: Launcher) -> None:
        options = ["--service", "shop", "--endpoint", "http://localhost:1", "--sample", "0.5"]
        environ = launch.run(*options, launch.write("app.py", FACTS)).json["environ"]
        assert [name for name in environ if name.startswith("OTEL_")] == []

    def test_the_project_counts_in_run_alone(self, launch: Launcher) -> None:
        launch.write("pyproject.toml", "[tool.whence]\nservice = 'by-project'\n")
        script = launch.write("app.py", FACTS)
        assert launch.run(script).json["service"] == "by-project"
        assert launch.run("--service", "by-option", script).json["service"] == "by-option"
        otel = {"OTEL_SERVICE_NAME": "by-otel"}
        assert launch.run(script, env=otel).json["service"] == "by-otel"
        by_environment = launch(launch.python, script, env={"WHENCE_ATTACH": "1"})
        assert by_environment.json["service"] == "app"

    @posix_only
    def test_a_folder_that_is_gone_is_no_obstacle(self, launch: Launcher) -> None:
        launch.write("gone/empty", "")
        command = " ".join(f"'{word}'" for word in launch.whence)
        script = launch.folder / launch.write("app.py", FACTS)
        ran = launch("sh", "-c", f"cd gone && rm -r ../gone && {command} run -q '{script}'")
        assert (ran.json["attached"], ran.json["service"]) == (True, "app")

    def test_a_run_inside_a_run_is_one(self, launch: Launcher) -> None:
        script = launch.write("app.py", FACTS)
        ran = launch.run("-q", "--slow", "5", *launch.whence, "run", "--slow", "6", script)
        assert "slow=6.0" in ran.json["settings"]
        assert ran.json["environ"]["PYTHONPATH"].count("sitecustomize") == 1


class TestUntouched:
    """What a program cannot tell from running without the agent."""

    def both(self, launch: Launcher, source: str, *words: str, stdin: str = "") -> list[object]:
        """The same program without whence and with `whence run -q`: what it left behind."""
        script = launch.write("app.py", source)
        plain = launch(launch.python, script, *words, stdin=stdin)
        under = launch.run("-q", "-o", "spans.jsonl", script, *words, stdin=stdin)
        assert (under.code, under.out, under.err) == (plain.code, plain.out, plain.err)
        return [plain.code, plain.out, plain.err]

    def test_stdin_and_stdout_are_the_programs(self, launch: Launcher) -> None:
        source = "import sys; sys.stdout.write(sys.stdin.read()[::-1])"
        assert self.both(launch, source, stdin="abc\n") == [0, "\ncba", ""]

    def test_nothing_of_ours_goes_to_stdout(self, launch: Launcher) -> None:
        ran = launch.run("-v", launch.write("app.py", "print('mine')"))
        assert ran.out == "mine\n"

    def test_the_path_is_the_programs(self, launch: Launcher) -> None:
        self.both(launch, "import sys; print(sys.path, sys.argv, sys.executable, sys.flags)", "x")

    def test_the_traceback_is_the_programs(self, launch: Launcher) -> None:
        source = """
            def inner():
                raise ValueError("mine")

            inner()
        """
        code, _, err = self.both(launch, source)
        assert code == 1
        assert str(err).endswith("ValueError: mine\n")

    @pytest.mark.parametrize(
        ("leave", "code"),
        [
            ("sys.exit(3)", 3),
            ("sys.exit('words')", 1),
            ("os._exit(7)", 7),
            ("raise SystemExit", 0),
            ("raise KeyboardInterrupt", 130 if os.name == "nt" else -signal.SIGINT),
        ],
    )
    def test_the_exit_code_is_the_programs(self, leave: str, code: int, launch: Launcher) -> None:
        assert self.both(launch, f"import os, sys; {leave}")[0] == code

    def test_an_asyncio_program_is_the_same(self, launch: Launcher) -> None:
        source = """
            import asyncio

            async def main():
                await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
                raise ValueError("mine")

            asyncio.run(main())
        """
        assert self.both(launch, source)[0] == 1

    @posix_only
    def test_the_pid_is_that_of_run(self, launch: Launcher) -> None:
        child = launch.start(*launch.whence, "run", launch.write("app.py", FACTS))
        out, err = child.communicate(timeout=60)
        assert f'"pid": {child.pid}' in out
        line = START_LINE.match(err)
        assert line is not None
        assert int(line[1]) == child.pid

    @posix_only
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
    def test_a_signal_reaches_the_handler_of_the_program(
        self, number: signal.Signals, launch: Launcher
    ) -> None:
        source = f"""
            import signal, sys

            def handle(number, frame):
                print("got", number)
                sys.exit(40)

            signal.signal({int(number)}, handle)
            print("ready", flush=True)
            while True:
                signal.pause()
        """
        child = launch.start(*launch.whence, "run", "-q", launch.write("app.py", source))
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
        assert (child.returncode, out, err) == (40, f"got {int(number)}\n", "")

    @posix_only
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1])
    def test_a_signal_that_nobody_handles_ends_the_program(
        self, number: signal.Signals, launch: Launcher
    ) -> None:
        source = "import signal; print('ready', flush=True); signal.pause()"
        child = launch.start(*launch.whence, "run", "-q", launch.write("app.py", source))
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        child.communicate(timeout=60)
        assert child.returncode == -number

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    def test_the_program_inherits_the_signals_that_run_was_given(self, launch: Launcher) -> None:
        def ignored(*words: str) -> list[str]:
            status = launch(*words, "cat", "/proc/self/status").out
            return [line for line in status.splitlines() if line.startswith(("SigIgn", "SigBlk"))]

        assert ignored(*launch.whence, "run") == ignored("env")

    @posix_only
    def test_a_pipe_that_closes_ends_the_program_as_ever(self, launch: Launcher) -> None:
        command = " ".join(f"'{word}'" for word in launch.whence)
        ran = launch("bash", "-c", f"{command} run yes | head -1; echo ${{PIPESTATUS[0]}}")
        assert ran.out == f"y\n{128 + signal.SIGPIPE}\n"

    @posix_only
    def test_open_files_are_inherited(self, launch: Launcher) -> None:
        read, write = os.pipe()
        with open(read) as reader:
            subprocess.run(
                [
                    *launch.whence,
                    "run",
                    launch.python,
                    "-c",
                    f"open({write}, 'w').write('through')",
                ],
                env=launch.environment(),
                pass_fds=[write],
                check=True,
            )
            os.close(write)
            assert reader.read() == "through"


class TestCannotRun:
    """One line on stderr and the code that a shell gives."""

    def refused(self, launch: Launcher, code: int, *words: str, **env: str) -> str:
        ran = launch.run(*words, env=env)
        assert (ran.code, ran.out) == (code, "")
        assert ran.err.startswith("whence run: ")
        assert ran.err.count("\n") == 1
        return ran.err.removeprefix("whence run: ").rstrip()

    def test_a_command_that_is_nowhere(self, launch: Launcher) -> None:
        text = self.refused(launch, 127, "no-such-command")
        assert text == "no-such-command: no such command on PATH, and no such file"

    @pytest.mark.parametrize("name", ["missing.py", "./missing", "a/missing.pyz"])
    def test_a_file_that_is_nowhere(self, name: str, launch: Launcher) -> None:
        assert self.refused(launch, 127, name) == f"{name}: no such file"

    @posix_only
    def test_a_file_here_that_is_not_on_the_path(self, launch: Launcher) -> None:
        launch.write("start", "#!/bin/sh\n")
        text = self.refused(launch, 127, "start")
        assert text == "start: no such command on PATH (the file here is ./start)"

    @posix_only
    def test_a_file_that_may_not_be_executed(self, launch: Launcher) -> None:
        launch.write("start", "#!/bin/sh\n")
        text = self.refused(launch, 126, "./start")
        assert text == "./start: not executable (permission denied)"

    @posix_only
    def test_a_command_on_the_path_that_may_not_be_executed(self, launch: Launcher) -> None:
        launch.write("bin/start", "#!/bin/sh\n")
        text = self.refused(launch, 126, "start", PATH=str(launch.folder / "bin"))
        assert text == "start: not executable (permission denied)"

    @posix_only
    def test_a_file_of_no_known_format(self, launch: Launcher) -> None:
        launch.write("start", "echo without a first line\n")
        (launch.folder / "start").chmod(stat.S_IRWXU)
        assert self.refused(launch, 126, "./start") == "./start: Exec format error"

    @posix_only
    def test_a_script_whose_interpreter_is_gone(self, launch: Launcher) -> None:
        launch.write("start", "#!/no/such/interpreter\n")
        (launch.folder / "start").chmod(stat.S_IRWXU)
        text = self.refused(launch, 127, "./start")
        assert text == "./start: its #! line names no existing program"

    def test_a_folder_without_a_main(self, launch: Launcher) -> None:
        launch.write("shop/app.py", "")
        assert self.refused(launch, 126, "shop") == "shop: expected a folder with a __main__.py"

    @pytest.mark.parametrize("option", ["--slow=x", "--types=Tusk", "--export=otpl", "--output="])
    def test_a_wrong_option_is_a_usage_error(self, option: str, launch: Launcher) -> None:
        text = self.refused(launch, 2, option, launch.write("app.py", "print('ran')"))
        assert text.startswith(option.partition("=")[0])

    def test_a_wrong_project_is_a_usage_error(self, launch: Launcher) -> None:
        launch.write("pyproject.toml", "[tool.whence]\nslow = 'x'\n")
        text = self.refused(launch, 2, launch.write("app.py", "print('ran')"))
        assert text == (
            f"slow in [tool.whence] of {launch.folder / 'pyproject.toml'}: "
            "expected a number of milliseconds above 0, not 'x'"
        )


class TestStderr:
    """What is said, and who says it."""

    def test_the_process_that_run_became_says_a_line_at_the_start_and_a_block_at_the_end(
        self, launch: Launcher
    ) -> None:
        ran = launch.run("--export", "none", launch.write("app.py", ""))
        start, end = ran.err.splitlines(keepends=True)
        assert START_LINE.fullmatch(start)
        assert end == "whence: 0 resources\n"

    def test_no_block_at_the_end_if_none_is_wanted(self, launch: Launcher) -> None:
        ran = launch.run("--export", "none", "--on-exit", "none", launch.write("app.py", ""))
        assert START_LINE.fullmatch(ran.err)

    def test_quiet_says_nothing(self, launch: Launcher) -> None:
        script = launch.write("app.py", "")
        assert launch.run("-q", script).err == ""
        assert launch.run(script, env={"WHENCE_QUIET": "1"}).err == ""

    def test_an_attachment_by_environment_says_nothing_unless_verbose(
        self, launch: Launcher
    ) -> None:
        script = launch.write("app.py", "")
        attach = {"WHENCE_ATTACH": "1"}
        assert launch(launch.python, script, env=attach).err == ""
        verbose = launch(launch.python, script, env=attach | {"WHENCE_VERBOSE": "1"})
        assert START_LINE.match(verbose.err)

    def test_a_wrong_variable_warns_once_and_the_program_runs(self, launch: Launcher) -> None:
        script = launch.write("app.py", FACTS)
        warning = (
            "whence: WHENCE_SLOW: expected a number of milliseconds above 0, not 'x'; "
            "the program runs without the agent\n"
        )
        by_environment = launch(
            launch.python, script, env={"WHENCE_ATTACH": "1", "WHENCE_SLOW": "x"}
        )
        assert by_environment.json["attached"] is False
        assert by_environment.err == warning
        by_run = launch.run(script, env={"WHENCE_SLOW": "x"})
        assert by_run.json["attached"] is False
        assert by_run.err == warning

    @pytest.mark.parametrize(
        "off", [{"WHENCE_DISABLED": "1"}, {"OTEL_SDK_DISABLED": "true"}], ids=["ours", "otel"]
    )
    def test_switched_off_it_is_not_there(self, off: dict[str, str], launch: Launcher) -> None:
        ran = launch.run(launch.write("app.py", FACTS), env=off)
        assert ran.json["attached"] is False
        assert ran.err == ""
