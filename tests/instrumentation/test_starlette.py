"""Routes of Starlette and FastAPI."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from websockets.asyncio.client import connect

from asgi_servers import customer, recorded_requests, serving
from whence.engine import SpanLifetime
from whence.testing import record

SERVER = "uvicorn h11"


async def item(request: Any) -> PlainTextResponse:
    return PlainTextResponse(request.path_params["id"])


def plain(request: Any) -> PlainTextResponse:
    return PlainTextResponse("plain")


class Page(HTTPEndpoint):
    async def get(self, request: Any) -> PlainTextResponse:
        return PlainTextResponse("page")


class PassOn(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


async def room(websocket: Any) -> None:
    await websocket.accept()
    await websocket.close()


ROUTES = [
    Route("/items/{id}", item),
    Route("/plain", plain),
    Route("/pages/{number:int}", Page),
    WebSocketRoute("/rooms/{name}", room),
    Mount("/shops/{shop}", routes=[Mount("/goods", routes=[Route("/{id}", item)])]),
    Mount("/files", app=StaticFiles(directory=Path(__file__).parent)),
    Host("{customer}.example.org", Router([Route("/items/{id}", item)])),
]


def served(application: Any, *asked: str, method: str = "GET") -> list[SpanLifetime]:
    """The requests for these paths, one after the other."""

    async def main() -> None:
        async with serving(application, SERVER) as port, customer(port) as someone:
            for path in asked:
                await someone.get(path, method=method)

    with recorded_requests() as recorded:
        asyncio.run(main())
    return recorded.requests


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.CRITICAL + 1, "uvicorn.error"):
        yield


def site(request: SpanLifetime) -> str | None:
    return None if request.code is None else request.code.co_qualname


@pytest.mark.parametrize("middleware", [[], [Middleware(PassOn)]])
def test_a_request_has_the_template_of_its_route_and_the_place_of_its_endpoint(
    middleware: list[Middleware],
) -> None:
    requests = served(
        Starlette(routes=ROUTES, middleware=middleware),
        "/items/secret",
        "/plain",
        "/pages/7",
        "/shops/secret/goods/5?q=secret",
    )
    assert [(request.name, site(request)) for request in requests] == [
        ("GET /items/{id}", "item"),
        ("GET /plain", "plain"),
        ("GET /pages/{number}", "Page.get"),
        ("GET /shops/{shop}/goods/{id}", "item"),
    ]
    routes = [(request.attributes or {})["http.route"] for request in requests]
    assert routes == [(request.name or "").removeprefix("GET ") for request in requests]
    assert "secret" not in str([request.attributes for request in requests])


def test_what_has_no_routes_is_named_by_where_it_is_mounted() -> None:
    (request,) = served(Starlette(routes=ROUTES), f"/files/{Path(__file__).name}")
    assert request.name == "GET /files/{path}"


def test_a_route_of_a_host_is_a_route_like_any_other() -> None:
    async def main() -> None:
        async with serving(Starlette(routes=ROUTES), SERVER) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /items/5 HTTP/1.1\r\nhost: secret.example.org\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

    with recorded_requests() as recorded:
        asyncio.run(main())
    assert recorded.request.name == "GET /items/{id}"


def test_a_path_that_nobody_knows_is_not_in_the_name() -> None:
    (request,) = served(Starlette(routes=ROUTES), "/secret")
    assert request.name == "GET"
    assert request.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "url.scheme": "http",
    }


def test_a_method_that_a_route_does_not_take_still_has_its_route() -> None:
    (request,) = served(Starlette(routes=ROUTES), "/items/5", method="DELETE")
    assert request.name == "DELETE /items/{id}"
    assert (request.attributes or {})["http.response.status_code"] == 405


def test_a_websocket_has_the_template_of_its_route() -> None:
    async def main() -> None:
        application = Starlette(routes=ROUTES)
        async with (
            serving(application, "uvicorn websockets-sansio") as port,
            connect(f"ws://127.0.0.1:{port}/rooms/secret") as connection,
        ):
            await connection.wait_closed()

    with recorded_requests() as recorded:
        asyncio.run(main())
    request = recorded.request
    assert (request.name, site(request)) == ("WEBSOCKET /rooms/{name}", "room")


def shop() -> fastapi.FastAPI:
    goods = fastapi.APIRouter(prefix="/goods")
    shops = fastapi.APIRouter(prefix="/shops/{shop}")
    application, mounted = fastapi.FastAPI(), fastapi.FastAPI()

    @application.get("/items/{id}")
    async def item(id: str) -> str:
        return id

    @goods.get("/{id}")
    async def good(shop: str, id: str) -> str:
        return id

    @mounted.get("/deep/{id}")
    def deep(id: str) -> str:
        return id

    shops.include_router(goods)
    application.include_router(shops, prefix="/v1")
    application.mount("/mounted/{where}", mounted)
    return application


def test_routes_of_fastapi_are_whole_however_they_were_included() -> None:
    requests = served(
        shop(), "/items/secret", "/v1/shops/secret/goods/5", "/mounted/secret/deep/5", "/items/"
    )
    assert [request.name for request in requests] == [
        "GET /items/{id}",
        "GET /v1/shops/{shop}/goods/{id}",
        "GET /mounted/{where}/deep/{id}",
        "GET",
    ]
    assert [site(request) for request in requests][:3] == [
        "shop.<locals>.item",
        "shop.<locals>.good",
        "shop.<locals>.deep",
    ]


def test_a_request_that_lasts_is_named_as_soon_as_its_route_is_found() -> None:
    named: list[str | None] = []

    async def main() -> None:
        from whence.engine import open_lifetimes

        async def look(request: Any) -> PlainTextResponse:
            named.extend(
                each.name for each in open_lifetimes.values() if each.type.name == "Request"
            )
            return PlainTextResponse()

        application = Starlette(routes=[Route("/{anything}", look)])
        async with serving(application, SERVER) as port, customer(port) as someone:
            await someone.get("/secret")

    with recorded_requests():
        asyncio.run(main())
    assert named == ["GET /{anything}"]


def test_the_methods_of_routes_are_put_back() -> None:
    owners: list[type] = [Route, WebSocketRoute, Mount, fastapi.routing.APIRoute]
    before = [vars(owner).get("handle") for owner in owners]
    with record():
        during = [vars(owner).get("handle") for owner in owners]
        assert asyncio.iscoroutinefunction(Route.handle)
        assert all(a is not b for a, b in zip(before, during, strict=True) if a is not None)
    assert [vars(owner).get("handle") for owner in owners] == before
