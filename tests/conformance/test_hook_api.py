"""create_hook(), AsyncHook.enable()/disable(): the documented behaviour."""

import pytest

import whence
from whence import AsyncResource


def test_disabled_by_default(make_recorder):
    # doc/api/async_hooks.md, asyncHook.enable(): "disabled by default"
    r = make_recorder(enable=False)
    AsyncResource("X")
    assert r.events == []


def test_enable_and_disable_return_the_hook(hooks):
    # doc/api/async_hooks.md, enable() and disable() return a reference to asyncHook
    h = hooks(init=lambda *a: None)
    assert h.enable() is h
    assert h.enable() is h
    assert h.disable() is h
    assert h.disable() is h


def test_enable_twice_fires_once(hooks):
    # lib/async_hooks.js enable(): "Each hook is only allowed to be added once"
    seen = []
    h = hooks(init=lambda i, t, tr, r: seen.append(t)).enable().enable()
    AsyncResource("X")
    assert seen == ["X"]
    h.disable()
    AsyncResource("Y")
    assert seen == ["X"]


def test_disable_of_a_never_enabled_hook_is_a_no_op(hooks, rec):
    # lib/async_hooks.js disable(): index === -1 returns this
    h = hooks(init=lambda *a: None)
    assert h.disable() is h
    AsyncResource("X")
    assert [e[2] for e in rec.inits()] == ["X"]


def test_enable_disable_enable(hooks):
    # test/parallel/test-async-hooks-enable-disable-enable.js
    seen = []
    h = hooks(init=lambda i, t, tr, r: seen.append(t))
    h.enable()
    AsyncResource("one")
    h.disable()
    AsyncResource("two")
    h.enable()
    AsyncResource("three")
    h.disable()
    assert seen == ["one", "three"]


def test_callbacks_as_keywords(hooks):
    # doc/api/async_hooks.md createHook(callbacks)
    seen = []
    hooks(
        init=lambda i, t, tr, r: seen.append("init"),
        before=lambda i: seen.append("before"),
        after=lambda i: seen.append("after"),
        destroy=lambda i: seen.append("destroy"),
    ).enable()
    r = AsyncResource("X")
    r.run_in_async_scope(lambda: seen.append("fn"))
    r.emit_destroy()
    assert seen[:4] == ["init", "before", "fn", "after"]


def test_callbacks_as_mapping(hooks):
    # doc/api/async_hooks.md createHook({ init, destroy })
    seen = []
    hooks(
        {
            "init": lambda i, t, tr, r: seen.append(("init", t)),
            "before": lambda i: seen.append("before"),
        }
    ).enable()
    AsyncResource("X").run_in_async_scope(lambda: None)
    assert seen == [("init", "X"), "before"]


def test_callbacks_as_object_with_inherited_methods(hooks):
    # doc/api/async_hooks.md: "The callbacks will be inherited via the prototype chain"
    seen = []

    class Mine:
        def init(self, async_id, type, trigger_async_id, resource):
            seen.append("init")

        def destroy(self, async_id):
            seen.append("destroy")

    class Added(Mine):
        def before(self, async_id):
            seen.append("before")

        def after(self, async_id):
            seen.append("after")

    hooks(Added()).enable()
    AsyncResource("X").run_in_async_scope(lambda: seen.append("fn"))
    assert seen == ["init", "before", "fn", "after"]


@pytest.mark.parametrize("name", ["init", "before", "after", "destroy", "promise_resolve"])
def test_every_callback_is_optional(hooks, name):
    # doc/api/async_hooks.md: "All callbacks are optional"
    seen = []
    hooks(**{name: lambda *a: seen.append(name)}).enable()
    r = AsyncResource("X")
    r.run_in_async_scope(lambda: None)
    r.emit_destroy()
    expected = {"init": [name], "before": [name], "after": [name]}
    if name in expected:
        assert seen == expected[name]
    elif name == "promise_resolve":
        assert seen == []  # an AsyncResource is not a promise


def test_a_hook_without_callbacks_may_be_enabled(hooks):
    # doc/api/async_hooks.md: "If no callbacks are provided, enabling is a no-op"
    h = hooks()
    assert h.enable() is h
    AsyncResource("X").run_in_async_scope(lambda: None)
    assert h.disable() is h


@pytest.mark.parametrize("name", ["init", "before", "after", "destroy", "promise_resolve"])
@pytest.mark.parametrize("value", [-1, 1, {}, [], "text"], ids=repr)
def test_callbacks_must_be_callable(name, value):
    # test/parallel/test-async-hooks-constructor.js
    with pytest.raises(TypeError) as e:
        whence.create_hook(**{name: value})
    assert name in str(e.value)
    with pytest.raises(TypeError):
        whence.create_hook({name: value})


def test_context_manager(hooks):
    # design: AsyncHook is also a context manager (enable ... disable)
    seen = []
    h = hooks(init=lambda i, t, tr, r: seen.append(t))
    with h as entered:
        assert entered is h
        AsyncResource("in")
    AsyncResource("out")
    with pytest.raises(KeyError), h:
        raise KeyError("x")
    AsyncResource("out")
    assert seen == ["in"]


def test_hooks_fire_in_registration_order(hooks):
    # Perry issue, acceptance tests: "Multiple registered hooks fire in registration order"
    seen = []
    a = hooks(init=lambda *x: seen.append("a"), before=lambda i: seen.append("a.before"))
    b = hooks(init=lambda *x: seen.append("b"), before=lambda i: seen.append("b.before"))
    b.enable()
    a.enable()
    AsyncResource("X").run_in_async_scope(lambda: None)
    assert seen == ["b", "a", "b.before", "a.before"]


def test_enabling_again_goes_to_the_end(hooks):
    # lib/async_hooks.js: enable() pushes, disable() splices
    seen = []
    a = hooks(init=lambda *x: seen.append("a")).enable()
    hooks(init=lambda *x: seen.append("b")).enable()
    a.disable().enable()
    AsyncResource("X")
    assert seen == ["b", "a"]


def test_disable_leaves_the_others_alone(hooks):
    # Perry issue, acceptance tests: ".disable() stops a hook ... without affecting others"
    seen = []
    a = hooks(init=lambda *x: seen.append("a")).enable()
    hooks(init=lambda *x: seen.append("b")).enable()
    a.disable()
    AsyncResource("X")
    assert seen == ["b"]


def test_init_arguments(hooks):
    # doc/api/async_hooks.md init(asyncId, type, triggerAsyncId, resource)
    seen = []
    hooks(init=lambda *a: seen.append(a)).enable()
    r = AsyncResource("Custom")
    assert seen == [(r.async_id(), "Custom", whence.execution_async_id(), r)]
    assert seen[0][3] is r


def test_execution_id_seen_by_each_callback(hooks):
    # lib/internal/async_hooks.js: the ids are pushed before before() and popped after after()
    seen = []
    hooks(
        init=lambda i, t, tr, r: seen.append(("init", whence.execution_async_id())),
        before=lambda i: seen.append(
            ("before", whence.execution_async_id(), whence.trigger_async_id())
        ),
        after=lambda i: seen.append(
            ("after", whence.execution_async_id(), whence.trigger_async_id())
        ),
    ).enable()
    outer = whence.execution_async_id()
    r = AsyncResource("X", trigger_async_id=77)
    r.run_in_async_scope(lambda: None)
    assert seen == [("init", outer), ("before", r.async_id(), 77), ("after", r.async_id(), 77)]
    assert whence.execution_async_id() == outer
