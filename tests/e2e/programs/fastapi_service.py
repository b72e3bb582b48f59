"""A FastAPI application under uvicorn that prints its port and serves until SIGTERM.

What its endpoints do: three things at once, one of them in a thread; wait; run in a thread whole;
fail; answer first and work on afterwards; talk over a websocket.
"""

import asyncio
import os
import signal
import socket
import sys
import time

import uvicorn
from fastapi import APIRouter, BackgroundTasks, FastAPI, WebSocket

app = FastAPI()
shops = APIRouter(prefix="/shops/{shop}")


async def price(name: str) -> int:
    await asyncio.sleep(0.002)
    return len(name)


def stock(name: str) -> int:
    time.sleep(0.002)
    return len(name)


@app.get("/items/{name}")
async def item(name: str) -> str:
    async with asyncio.TaskGroup() as group:
        group.create_task(price(name))
        group.create_task(price(name))
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, stock, name)
    return name


@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(0.002)
    return "slow"


@shops.get("/plain/{name}", response_model=None)
def plain(shop: str, name: str) -> int:
    return stock(name)


@app.get("/broken")
async def broken() -> None:
    raise ValueError("out of tea")


def deliver() -> None:
    time.sleep(0.002)


@app.get("/orders/{number}")
async def order(number: int, tasks: BackgroundTasks) -> int:
    tasks.add_task(deliver)
    return number


@app.websocket("/rooms/{name}")
async def room(websocket: WebSocket, name: str) -> None:
    await websocket.accept()
    while (text := await websocket.receive_text()) != "bye":
        await websocket.send_text(text.upper())
    await websocket.close()


app.include_router(shops)

if __name__ == "__main__":
    # uvicorn raises the signal that ended it once more.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app,
        http=os.environ["HTTP"],
        loop=os.environ["LOOP"],
        log_level="critical",
    )
    uvicorn.Server(config).run(sockets=[listener])
