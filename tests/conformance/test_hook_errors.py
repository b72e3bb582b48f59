"""A hook callback that raises."""

import pytest

import whence


def test_default_policy_prints_and_exits(child):
    # test/async-hooks/test-callback-error.js test_init_callback
    c = child("""
        import atexit, whence
        atexit.register(lambda: print("atexit ran"))
        def init(*a):
            raise ValueError("test_init_callback")
        whence.create_hook(init=init).enable()
        whence.AsyncResource("X")
        print("not reached")
    """)
    assert c.rc == 1
    assert "Traceback" in c.err
    assert "ValueError: test_init_callback" in c.err
    assert c.out.split("\n")[0] == "atexit ran"
    assert "not reached" not in c.out


def test_default_policy_inside_a_loop(child):
    # test/parallel/test-async-hooks-fatal-error.js
    c = child("""
        import asyncio, whence
        def before(i):
            raise ValueError("boom")
        whence.create_hook(before=before).enable()
        async def main():
            print("not reached")
        asyncio.run(main())
        print("not reached")
    """)
    assert c.rc == 1
    assert "ValueError: boom" in c.err
    assert "not reached" not in c.out


def test_log_policy_goes_on(child):
    # design: set_hook_error_policy("log") logs and goes on
    c = child("""
        import whence
        whence.set_hook_error_policy("log")
        def init(*a):
            raise ValueError("boom")
        whence.create_hook(init=init).enable()
        r = whence.AsyncResource("X")
        print(r.run_in_async_scope(lambda: "went on"))
    """)
    assert c.rc == 0, c.err
    assert "ValueError: boom" in c.err
    assert c.out.split("\n")[0] == "went on"


def test_unknown_policy():
    # design: set_hook_error_policy("exit"|"log")
    with pytest.raises(ValueError, match="ignore"):
        whence.set_hook_error_policy("ignore")
