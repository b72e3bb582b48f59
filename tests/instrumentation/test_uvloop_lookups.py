"""Name look-ups on uvloop."""

import asyncio
import socket

import pytest
from stories import story
from uvloops import run_on_uvloop

uvloop = pytest.importorskip("uvloop")


def test_a_look_up_lives_while_it_is_awaited() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
        assert "127.0.0.1" in [address[0] for *_, address in found]
        assert (await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST))[0] == "127.0.0.1"

    assert story(run_on_uvloop(main), "GetAddrInfo", "GetNameInfo") == [
        "init GetAddrInfo1 GetAddrInfo by Task1",
        "destroy GetAddrInfo1",
        "init GetNameInfo1 GetNameInfo by Task1",
        "destroy GetNameInfo1",
    ]


def test_one_that_fails_or_is_cancelled_ends_too() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(TypeError):
            await loop.getaddrinfo("localhost", 1.5)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await loop.getnameinfo("localhost")  # type: ignore[arg-type]
        looking = asyncio.create_task(loop.getaddrinfo("localhost", 80))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        looking.cancel()
        await asyncio.wait([looking])

    assert story(run_on_uvloop(main), "GetAddrInfo", "GetNameInfo") == [
        "init GetAddrInfo1 GetAddrInfo by Task1",
        "destroy GetAddrInfo1",
        "init GetNameInfo1 GetNameInfo by Task1",
        "destroy GetNameInfo1",
        "init GetAddrInfo2 GetAddrInfo by Task2",
        "destroy GetAddrInfo2",
    ]


def test_one_that_nobody_awaits_never_begins() -> None:
    async def main() -> None:
        asyncio.get_running_loop().getaddrinfo("localhost", 80).close()  # type: ignore[attr-defined]

    assert run_on_uvloop(main).ids("GetAddrInfo") == []
