"""AsyncResource: the documented behaviour."""

import pytest

import whence
from whence import AsyncResource


def test_ids_are_unique_increasing_integers():
    # doc/api/async_hooks.md: "Every new resource is assigned an ID that is unique"
    ids = [AsyncResource("X").async_id() for _ in range(20)]
    assert all(isinstance(i, int) for i in ids)
    assert ids == sorted(set(ids))
    assert ids[0] > 1


def test_id_does_not_change():
    # test-embedder.api.async-resource.js
    r = AsyncResource("X")
    assert r.async_id() == r.async_id()
    r.run_in_async_scope(lambda: None)
    r.emit_destroy()
    assert isinstance(r.async_id(), int)


def test_trigger_defaults_to_the_execution_id():
    # test-embedder.api.async-resource.js 'default_trigger_id'
    assert AsyncResource("X").trigger_async_id() == whence.execution_async_id()


@pytest.mark.parametrize("trigger", [0, 1, 111])
def test_any_number_may_be_the_trigger(rec, trigger):
    # test-embedder.api.async-resource.js: "we can pass any number as a trigger id"
    r = AsyncResource("X", trigger_async_id=trigger)
    assert r.trigger_async_id() == trigger
    assert rec.events == [("init", r.async_id(), "X", trigger)]


def test_trigger_inside_a_scope_is_that_scope(rec):
    # lib/internal/async_hooks.js getDefaultTriggerAsyncId()
    outer = AsyncResource("OUTER")
    inner = outer.run_in_async_scope(AsyncResource, "INNER")
    assert inner.trigger_async_id() == outer.async_id()
    assert rec.trigger_of(inner.async_id()) == outer.async_id()


@pytest.mark.parametrize("bad", [None, 1, b"X", object()], ids=["None", "1", "bytes", "object"])
def test_type_must_be_a_string(bad):
    # test/parallel/test-async-hooks-asyncresource-constructor.js
    with pytest.raises(TypeError):
        AsyncResource(bad)


def test_type_must_not_be_empty(rec):
    # test/parallel/test-async-hooks-asyncresource-constructor.js ERR_ASYNC_TYPE is a TypeError
    with pytest.raises(TypeError):
        AsyncResource("")
    assert rec.events == []


def test_trigger_must_not_be_below_minus_one(rec):
    # test/parallel/test-async-hooks-asyncresource-constructor.js ERR_INVALID_ASYNC_ID
    with pytest.raises(ValueError, match="-4"):
        AsyncResource("X", trigger_async_id=-4)
    assert rec.events == []


@pytest.mark.parametrize("bad", [1.5, "1"], ids=repr)
def test_trigger_must_be_an_integer(rec, bad):
    # test/parallel/test-async-hooks-asyncresource-constructor.js new AsyncResource('type', Math.PI)
    with pytest.raises((TypeError, ValueError)):
        AsyncResource("X", trigger_async_id=bad)
    assert rec.events == []


def test_run_in_async_scope_gives_arguments_and_result():
    # test/parallel/test-async-hooks-run-in-async-scope-this-arg.js
    r = AsyncResource("X")

    def fn(a, b, *, c):
        return (a, b, c, whence.execution_async_id(), whence.trigger_async_id())

    assert r.run_in_async_scope(fn, 1, 2, c=3) == (1, 2, 3, r.async_id(), r.trigger_async_id())


def test_before_and_after_bracket_the_call(rec):
    # Deno tests/unit_node/async_hooks_test.ts runInAsyncScopeFiresBeforeAndAfter
    r = AsyncResource("X")
    r.run_in_async_scope(lambda: rec.events.append("fn"))
    i = r.async_id()
    assert rec.events == [("init", i, "X", r.trigger_async_id()), ("before", i), "fn", ("after", i)]


def test_scope_may_be_entered_many_times(rec):
    # test-embedder.api.async-resource.js: before/after, then before/after again
    r = AsyncResource("X")
    r.run_in_async_scope(lambda: None)
    r.run_in_async_scope(lambda: None)
    assert rec.names(r.async_id()) == ["init", "before", "after", "before", "after"]


def test_exception_leaves_the_scope_and_fires_after(rec):
    # test/parallel/test-async-hooks-run-in-async-scope-caught-exception.js
    outer = whence.execution_async_id()
    r = AsyncResource("X")

    def boom():
        raise LookupError("x")

    with pytest.raises(LookupError):
        r.run_in_async_scope(boom)
    assert whence.execution_async_id() == outer
    assert rec.names(r.async_id()) == ["init", "before", "after"]


def test_nested_scopes_unwind_in_order(rec):
    # test/async-hooks/test-embedder.api.async-event.js and test-improper-unwind.js (proper unwind)
    a, b = AsyncResource("A"), AsyncResource("B")

    def inner():
        assert whence.execution_async_id() == b.async_id()

    def outer():
        assert whence.execution_async_id() == a.async_id()
        b.run_in_async_scope(inner)
        assert whence.execution_async_id() == a.async_id()

    a.run_in_async_scope(outer)
    ia, ib = a.async_id(), b.async_id()
    assert rec.seq(ia, ib)[2:] == [("before", ia), ("before", ib), ("after", ib), ("after", ia)]


def test_emit_destroy_returns_the_resource_and_fires_once(rec):
    # doc/api/async_context.md asyncResource.emitDestroy()
    r = AsyncResource("X")
    assert r.emit_destroy() is r
    assert rec.names(r.async_id()) == ["init", "destroy"]


def test_emit_destroy_twice_raises(rec):
    # doc/api/async_context.md: "An error will be thrown if it is called more than once"
    r = AsyncResource("X")
    r.emit_destroy()
    with pytest.raises(RuntimeError):
        r.emit_destroy()
    assert rec.count("destroy", r.async_id()) == 1


def test_subclass(rec):
    # doc/api/async_context.md class DBQuery extends AsyncResource
    class DBQuery(AsyncResource):
        def __init__(self, db):
            super().__init__("DBQuery")
            self.db = db

        def get_info(self, query, callback):
            return self.run_in_async_scope(callback, None, self.db[query])

        def close(self):
            self.db = None
            self.emit_destroy()

    q = DBQuery({"k": "v"})
    assert q.get_info("k", lambda err, data: (err, data, whence.execution_async_id())) == (
        None,
        "v",
        q.async_id(),
    )
    q.close()
    assert rec.type_of(q.async_id()) == "DBQuery"
    assert rec.names(q.async_id()) == ["init", "before", "after", "destroy"]


def test_bind_runs_in_the_scope_of_the_resource(rec):
    # test/parallel/test-asyncresource-bind.js
    r = AsyncResource("X")
    bound = r.bind(lambda a, b=0: (a, b, whence.execution_async_id()))
    assert rec.names(r.async_id()) == ["init"]
    assert bound(1, b=2) == (1, 2, r.async_id())
    assert bound(3) == (3, 0, r.async_id())
    assert rec.names(r.async_id()) == ["init", "before", "after", "before", "after"]


def test_bind_function_makes_a_resource(rec):
    # test/parallel/test-asyncresource-bind.js AsyncResource.bind(fn)
    def named(x):
        return x, whence.execution_async_id()

    outer = whence.execution_async_id()
    bound = AsyncResource.bind_function(named)
    assert [e[2:] for e in rec.inits()] == [("named", outer)]
    i = rec.ids()[0]
    assert bound(5) == (5, i)
    assert i != outer


def test_bind_function_with_a_type(rec):
    # doc/api/async_context.md AsyncResource.bind(fn[, type])
    AsyncResource.bind_function(lambda: None, "MyType")
    assert [e[2] for e in rec.inits()] == ["MyType"]


@pytest.mark.parametrize("bad", [1, False, "", {}, []], ids=repr)
def test_bind_needs_a_callable(bad):
    # test/parallel/test-asyncresource-bind.js ERR_INVALID_ARG_TYPE
    with pytest.raises(TypeError):
        AsyncResource("X").bind(bad)
    with pytest.raises(TypeError):
        AsyncResource.bind_function(bad)


def test_ids_exist_without_any_hook():
    # lib/async_hooks.js: newAsyncId() and the id stack work with no hook enabled
    outer = whence.execution_async_id()
    r = AsyncResource("X")
    assert r.run_in_async_scope(whence.execution_async_id) == r.async_id()
    assert whence.execution_async_id() == outer
    assert r.emit_destroy() is r
