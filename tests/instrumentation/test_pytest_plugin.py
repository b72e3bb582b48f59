"""The pytest plug-in, in sessions of pytest of their own."""

import pytest

pytest_plugins = ["pytester"]

LEAVES = """
    import asyncio
    import threading

    import pytest

    stop = threading.Event()
    kept = []

    def test_leaves_a_task():
        async def forgotten():
            await asyncio.sleep(3600)

        async def main():
            kept.append(asyncio.create_task(forgotten()))  # line 15
            await asyncio.sleep(0)

        asyncio.run(main())

    def test_leaves_a_thread():
        threading.Thread(target=stop.wait).start()  # line 21

    def test_leaves_servers():
        async def main():
            for _ in range(2):
                kept.append(await asyncio.start_server(print, "127.0.0.1", 0))  # line 26

        loop = asyncio.new_event_loop()
        kept.append(loop)
        loop.run_until_complete(main())

    def test_leaves_nothing():
        async def work():
            await asyncio.sleep(0)

        async def main():
            await asyncio.gather(work(), work())
            server = await asyncio.start_server(print, "127.0.0.1", 0)
            server.close()
            await asyncio.to_thread(print)

        asyncio.run(main())

    def test_what_is_only_dropped_is_not_left():
        loop = asyncio.new_event_loop()
        loop.create_future()
        loop.close()

    def test_an_async_generator_that_is_dropped_is_not_left():
        async def numbers():
            yield 1
            yield 2

        async def main():
            async for _ in numbers():
                break

        asyncio.run(main())

    def test_ends():
        stop.set()
        for server in kept[1:]:
            if hasattr(server, "is_serving"):
                server.close()
        kept[3].close()
"""


def session(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(source)
    ours = ("-p", "whence.testing", "-p", "no:cacheprovider")
    return pytester.runpytest_subprocess(*ours, *options)


def test_a_test_fails_that_leaves_something_open_and_is_told_where_it_was_made(
    pytester: pytest.Pytester,
) -> None:
    result = session(pytester, LEAVES, "--whence-leaks")
    result.assert_outcomes(passed=7, errors=3)
    result.stdout.re_match_lines(
        [
            r"whence: left open by this test: 1",
            r"  task forgotten  made at .*\.py:1\d",
            r"whence: left open by this test: 1",
            r"  thread .*  made at .*\.py:\d+",
            r"whence: left open by this test: 2",
            r"  server.*  made at .*\.py:\d+  \(2 times\)",
        ]
    )


def test_without_being_asked_nothing_fails_and_nothing_is_patched(
    pytester: pytest.Pytester,
) -> None:
    more = """
    def test_nothing_is_patched():
        import whence
        assert not whence.attached()
"""
    session(pytester, LEAVES + more).assert_outcomes(passed=8)


def test_what_a_fixture_of_a_wider_scope_has_made_is_left_by_no_test(
    pytester: pytest.Pytester,
) -> None:
    source = """
        import asyncio

        import pytest

        @pytest.fixture(scope="module")
        def server():
            with asyncio.Runner() as runner:
                server = runner.run(asyncio.start_server(print, "127.0.0.1", 0))
                yield server
                server.close()

        def test_one(server):
            assert server.is_serving()

        def test_two(server):
            assert server.is_serving()
    """
    session(pytester, source, "--whence-leaks").assert_outcomes(passed=2)


def test_a_fixture_of_the_test_itself_is_blamed_for_what_it_leaves(
    pytester: pytest.Pytester,
) -> None:
    source = """
        import asyncio

        import pytest

        loop = asyncio.new_event_loop()

        @pytest.fixture
        def timer():
            return loop.call_later(3600, print)

        def test_one(timer):
            assert not timer.cancelled()

        def test_two():
            loop.close()
    """
    result = session(pytester, source, "--whence-leaks")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.re_match_lines([r"  timer print  made at .*\.py:9"])


def test_tests_of_anyio_are_looked_at_as_well(pytester: pytest.Pytester) -> None:
    pytest.importorskip("anyio")
    source = """
        import asyncio

        import pytest

        pytestmark = pytest.mark.anyio
        kept = []

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        async def test_leaves_a_task():
            kept.append(asyncio.ensure_future(asyncio.sleep(3600)))

        async def test_leaves_nothing():
            await asyncio.sleep(0)
    """
    result = session(pytester, source, "--whence-leaks")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.re_match_lines([r"  task sleep  made at .*\.py:13"])


def test_tests_of_pytest_asyncio_are_looked_at_as_well(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    source = """
        import asyncio

        import pytest
        import pytest_asyncio

        kept = []

        async def work():
            await asyncio.sleep(3600)

        @pytest_asyncio.fixture
        async def worker():
            task = asyncio.create_task(work())
            yield task
            task.cancel()

        @pytest_asyncio.fixture
        async def careless():
            yield
            kept.append(asyncio.create_task(work()))  # line 20

        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def server():
            server = await asyncio.start_server(print, "127.0.0.1", 0)
            yield server
            server.close()

        @pytest.mark.asyncio
        async def test_leaves_a_task():
            kept.append(asyncio.create_task(work()))  # line 30

        @pytest.mark.asyncio
        async def test_leaves_nothing(worker):
            await asyncio.sleep(0)

        @pytest.mark.asyncio
        async def test_has_a_careless_fixture(careless):
            pass

        @pytest.mark.asyncio(loop_scope="module")
        async def test_leaves_a_task_in_a_loop_that_goes_on(server):
            kept.append(asyncio.create_task(work()))  # line 42

        @pytest.mark.asyncio(loop_scope="module")
        async def test_comes_after(server):
            assert server.is_serving()
    """
    own_loop = ("-o", "asyncio_default_fixture_loop_scope=function")
    result = session(pytester, source, "--whence-leaks", *own_loop)
    result.assert_outcomes(passed=5, errors=3)
    result.stdout.re_match_lines(
        [
            r"  task work  made at .*\.py:30",
            r"  task work  made at .*\.py:20",
            r"  task work  made at .*\.py:42",
        ]
    )


def test_the_fixture_gives_the_events_of_the_test(pytester: pytest.Pytester) -> None:
    source = """
        import asyncio

        def test_events(whence_events):
            async def main():
                pass

            asyncio.run(main())
            (task, *_) = whence_events.ids("Task")
            assert whence_events.names(task)[0] == "init"
            assert whence_events.names(task)[-1] == "destroy"
    """
    session(pytester, source).assert_outcomes(passed=1)


def test_a_session_in_an_attached_process_has_no_warning_of_ours(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pytest warns of a plug-in whose modules it can no longer rewrite: it finds none of ours."""
    monkeypatch.setenv("WHENCE_ATTACH", "1")
    monkeypatch.setenv("WHENCE_EXPORT", "none")
    pytester.makepyfile("""
        import whence

        def test_attached():
            assert whence.attached()
    """)
    pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio").assert_outcomes(passed=1)
