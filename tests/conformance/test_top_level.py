"""The ids and the resource outside of every callback; the table of providers."""

from collections.abc import Mapping

import pytest

import whence

NAMES = [
    "Task",
    "Future",
    "Handle",
    "TimerHandle",
    "Reader",
    "Writer",
    "SignalHandle",
    "Server",
    "Transport",
    "DatagramTransport",
    "SSLProtocol",
    "Process",
    "GetAddrInfo",
    "GetNameInfo",
    "ExecutorJob",
    "Thread",
    "Timer",
]


def test_top_level_ids(child):
    # doc/api/async_hooks.md: "console.log(executionAsyncId()); // 1 - bootstrap", trigger 0
    c = child("""
        import whence
        print(whence.execution_async_id(), whence.trigger_async_id())
        h = whence.create_hook(init=lambda *a: None).enable()
        print(whence.execution_async_id(), whence.trigger_async_id())
        print(whence.AsyncResource("X").trigger_async_id())
    """)
    assert c.rc == 0, c.err
    assert c.out.split() == ["1", "0", "1", "0", "1"]


def test_top_level_resource():
    # test/parallel/test-async-hooks-execution-async-resource.js assert.ok(executionAsyncResource())
    r = whence.execution_async_resource()
    assert r is not None
    assert whence.execution_async_resource() is r


def test_top_level_resource_can_hold_data(child):
    # doc/api/async_hooks.md executionAsyncResource(): "Useful to store data within the resource"
    c = child("""
        import whence
        whence.execution_async_resource().state = 5
        print(whence.execution_async_resource().state)
    """)
    assert c.rc == 0, c.err
    assert c.out.split() == ["5"]


def test_resource_inside_a_scope():
    # test/async-hooks/test-async-exec-resource-match.js
    top = whence.execution_async_resource()
    r = whence.AsyncResource("X")
    assert r.run_in_async_scope(whence.execution_async_resource) is r
    assert whence.execution_async_resource() is top


def test_providers():
    # test/async-hooks/test-async-wrap-providers.js
    p = whence.async_wrap_providers
    assert isinstance(p, Mapping)
    for name in NAMES:
        assert isinstance(p[name], int)
    assert len(set(p.values())) == len(p)


def test_providers_are_read_only():
    # lib/async_hooks.js asyncWrapProviders: ObjectFreeze
    with pytest.raises(TypeError):
        whence.async_wrap_providers["X"] = 1
    with pytest.raises(TypeError):
        del whence.async_wrap_providers["Task"]
