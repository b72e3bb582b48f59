"""The command: reads the options and runs the shop."""

import argparse
import asyncio
import sys

try:
    from .service import NoAddress, run
except ModuleNotFoundError as error:
    if error.name != "aiohttp":
        raise
    sys.exit("shop: expected aiohttp, which it is built on; to get it: pip install aiohttp")


def main() -> None:
    """Run the shop until it is closed, by time or by a signal."""
    options = _read_options()
    try:
        asyncio.run(run(options.port, options.seconds, options.load))
    except NoAddress as error:
        sys.exit(f"shop: {error}")
    except KeyboardInterrupt:
        pass  # Windows: loops there do not take signals.


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="shop", description="A tea shop, as a web service.")
    parser.add_argument(
        "--port", type=int, default=8080, help="port on 127.0.0.1; 0 is any (default: 8080)"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="N", help="close after that time (default: on Ctrl-C)"
    )
    parser.add_argument(
        "--load", type=int, default=0, metavar="CLIENTS", help="so many customers at a time"
    )
    options = parser.parse_args()
    if not 0 <= options.port <= 65535:
        parser.error(f"--port: expected 0 to 65535, not {options.port}")
    if options.seconds is not None and not options.seconds > 0:
        parser.error(f"--seconds: expected more than 0, not {options.seconds:g}")
    if options.load < 0:
        parser.error(f"--load: expected 0 or more, not {options.load}")
    return options
