"""Ports of the loopback interface, and the next free one where one is taken."""

import socket
import sys

TRIED = 100
"""Ports after the one that was asked for."""


class NoPort(Exception):
    """None of them is free; the text is one line."""


def listen(port: int, name: str) -> list[socket.socket]:
    """Sockets that listen on the port, or the first free one after it, by IPv4 and, where the
    machine has it, IPv6.  0 is any.  Raises NoPort."""
    for candidate in range(port, min(port + TRIED, 65535) + 1):
        try:
            return _listen(candidate)
        except OverflowError:
            break
        except OSError:
            if candidate == 0:
                break
    raise NoPort(f"no free port for {name} from {port} on")


def number_of(sockets: list[socket.socket]) -> int:
    """The port that they listen on."""
    port: int = sockets[0].getsockname()[1]
    return port


def addresses(port: int) -> list[str]:
    """The same as texts."""
    return [f"127.0.0.1:{port}", *([f"[::1]:{port}"] if _has_ipv6() else [])]


def free(port: int, name: str) -> int:
    """The first that is free, for who makes sockets of its own.  Raises NoPort."""
    sockets = listen(port, name)
    number = number_of(sockets)
    for one in sockets:
        one.close()
    return number


def _listen(port: int) -> list[socket.socket]:
    first = _bound(socket.AF_INET, "127.0.0.1", port)
    if not _has_ipv6():
        return [first]
    try:
        return [first, _bound(socket.AF_INET6, "::1", first.getsockname()[1])]
    except OSError:
        first.close()
        raise


def _bound(family: int, host: str, port: int) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port that the last dashboard has just left is free; on Windows the option would take
        # the port of another program.
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def _has_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
