"""The metrics in the application's own MeterProvider, and nowhere else then.

Each in a process of its own: the provider is set once."""

from typing import Any

import pytest

from launching import Launcher
from receivers import HttpReceiver

BEFORE = """
    import asyncio, json, sys

    from opentelemetry import metrics

    def provide(**more):
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        global reader
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader], **more))

    async def work():
        await asyncio.sleep(0.01)

    async def main():
        await asyncio.gather(*(work() for _ in range(3)))

    def told():
        data = reader.get_metrics_data()
        found = {}
        for of_resource in data.resource_metrics if data else ():
            for of_scope in of_resource.scope_metrics:
                for metric in of_scope.metrics:
                    points = [[dict(p.attributes), p.value] for p in metric.data.data_points]
                    found[metric.name] = [of_scope.scope.name, metric.unit, points]
        return found
"""
ATTACH = """
    import whence
    whence.attach(export=("otlp",), endpoint=sys.argv[1], quiet=True)
"""


TASKS = 6
"""Of a run of `main`: three that work, and the three that asyncio.run makes."""


def told(launch: Launcher, receiver: HttpReceiver, source: str, **env: str) -> Any:
    script = launch.write("app.py", source)
    return launch(launch.python, script, receiver.url, env=env).json


def tasks(points: list[Any]) -> float:
    (number,) = [value for about, value in points if about == {"whence.type": "Task"}]
    assert isinstance(number, float | int)
    return number


ORDERS = {
    "before attaching": "\n    provide()" + ATTACH + "\n    asyncio.run(main())",
    "after attaching": ATTACH + "\n    provide()\n    asyncio.run(main())",
    "after the work": ATTACH + "\n    asyncio.run(main())\n    provide()",
}


@pytest.mark.parametrize("order", ORDERS)
def test_it_has_them_whenever_it_is_set(
    launch: Launcher, http_receiver: HttpReceiver, order: str
) -> None:
    source = BEFORE + ORDERS[order] + "\n    print(json.dumps(told()))"
    found = told(launch, http_receiver, source)
    scope, unit, points = found["whence.resource.created"]
    assert (scope, unit) == ("whence", "{resource}")
    assert tasks(points) == TASKS
    assert tasks(found["whence.resource.active"][2]) == 0
    assert found["whence.callback.run_time.max"][1] == "s"
    assert "process.cpu.time" in found


def test_then_whence_sends_none_itself(launch: Launcher, http_receiver: HttpReceiver) -> None:
    source = BEFORE + "\n    provide()" + ATTACH + "\n    asyncio.run(main())\n    print(1)"
    told(launch, http_receiver, source, OTEL_METRICS_EXPORTER="otlp")
    assert http_receiver.received.spans
    assert http_receiver.received.metrics == []


def test_a_stand_in_of_the_api_is_no_provider(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    """A library that is instrumented with the API makes instruments, and nobody reads them."""
    source = (
        BEFORE
        + "\n    metrics.get_meter('theirs').create_counter('c').add(1)"
        + ATTACH
        + "\n    asyncio.run(main())\n    print(1)"
    )
    told(launch, http_receiver, source, OTEL_METRICS_EXPORTER="otlp")
    http_receiver.received.wait_for_metrics(1)


def test_after_detaching_it_reads_nothing_and_after_attaching_again_it_does(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    source = (
        BEFORE
        + "\n    provide()"
        + ATTACH
        + """
    asyncio.run(main())
    seen = [told()]
    whence.detach()
    seen.append(told())
    whence.attach(export=("otlp",), endpoint=sys.argv[1], quiet=True)
    asyncio.run(main())
    seen.append(told())
    print(json.dumps(seen))
    """
    )
    first, detached, again = told(launch, http_receiver, source)
    assert tasks(first["whence.resource.created"][2]) == TASKS
    assert [name for name in detached if name.startswith("whence.")] == []
    assert tasks(again["whence.resource.created"][2]) == 2 * TASKS


@pytest.mark.parametrize(
    ("config", "env"),
    [({"export": ("none",)}, {}), ({}, {"OTEL_METRICS_EXPORTER": "none"})],
    ids=["nothing is sent", "no metrics"],
)
def test_who_wants_none_gets_none(
    launch: Launcher, http_receiver: HttpReceiver, config: dict[str, Any], env: dict[str, str]
) -> None:
    source = (
        BEFORE
        + f"""
    import whence
    whence.attach(**{{"endpoint": sys.argv[1], "quiet": True, **{config!r}}})
    provide()
    asyncio.run(main())
    print(json.dumps(told()))
    """
    )
    assert told(launch, http_receiver, source, **env) == {}


def test_what_another_instrumentation_says_of_the_process_is_left_to_it(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    source = (
        BEFORE
        + """
    import types
    name = "opentelemetry.instrumentation.system_metrics"
    sys.modules[name] = types.ModuleType(name)
    """
        + ORDERS["after attaching"]
        + "\n    print(json.dumps(told()))"
    )
    names = told(launch, http_receiver, source).keys()
    assert "whence.resource.created" in names
    assert [name for name in names if name.startswith(("process.", "cpython."))] == []


def test_a_provider_that_a_variable_would_make_is_not_made_by_asking(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    source = (
        BEFORE
        + ATTACH
        + """
    asyncio.run(main())
    from opentelemetry.metrics import _internal
    assert _internal._METER_PROVIDER is None
    provide()
    print(1)
    """
    )
    told(launch, http_receiver, source, OTEL_PYTHON_METER_PROVIDER="sdk_meter_provider")


@pytest.mark.parametrize("order", ["before attaching", "after attaching"])
def test_its_last_collection_has_them_whichever_ends_first(
    launch: Launcher, http_receiver: HttpReceiver, order: str
) -> None:
    provide = """
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    metrics.set_meter_provider(MeterProvider([
        PeriodicExportingMetricReader(
            ConsoleMetricExporter(formatter=lambda data: data.to_json(indent=None)), 3_600_000
        )
    ]))
    """
    attach = ATTACH + "\n    asyncio.run(main())"
    source = BEFORE + (provide + attach if order == "before attaching" else attach + provide)
    (of_resource,) = told(launch, http_receiver, source)["resource_metrics"]
    names = {m["name"] for scope in of_resource["scope_metrics"] for m in scope["metrics"]}
    assert "whence.resource.created" in names


def test_a_view_of_the_application_holds_for_them(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    source = (
        BEFORE
        + ATTACH
        + """
    from opentelemetry.sdk.metrics.view import DropAggregation, View
    provide(views=[View(instrument_name="process.*", aggregation=DropAggregation())])
    asyncio.run(main())
    print(json.dumps(told()))
    """
    )
    names = told(launch, http_receiver, source).keys()
    assert "whence.resource.created" in names
    assert [name for name in names if name.startswith("process.")] == []
