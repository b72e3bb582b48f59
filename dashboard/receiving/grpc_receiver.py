"""OTLP over gRPC.  The bytes are decoded here, so that what is none is told in our words."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from ..storing.writer import Busy, CannotWrite, Unreadable
from .decoding import MAX_BODY, SIGNALS, Refused, Signal, from_protobuf
from .intake import Intake

_THREADS = 4
"""Requests at a time; each waits until it is written."""
_GRACE = 2.0


class GrpcReceiver:
    """The server, on the loopback interface."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, "whence-dashboard-grpc"),
            options=[
                ("grpc.max_receive_message_length", MAX_BODY),
                # Another program's port is no port for us.
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=4 * _THREADS,
        )
        for signal in SIGNALS:
            service, _, method = signal.grpc_method[1:].partition("/")
            handler = grpc.unary_unary_rpc_method_handler(self._handler(signal))
            self._server.add_generic_rpc_handlers(
                [grpc.method_handlers_generic_handler(service, {method: handler})]
            )

    def listen(self, addresses: list[str]) -> None:
        """Begin.  Raises OSError where an address is taken."""
        for address in addresses:
            try:
                self._server.add_insecure_port(address)
            except RuntimeError as error:
                raise OSError(str(error)) from error
        self._server.start()

    def stop(self) -> None:
        """Finish what has begun, and end."""
        self._server.stop(_GRACE).wait()

    def _handler(self, signal: Signal) -> Callable[[bytes, Any], bytes]:
        def take(data: bytes, context: Any) -> bytes:
            try:
                message = from_protobuf(signal, data)
                rejected = self._intake.hand_in(signal, message, len(data)).result()
            except (Refused, Unreadable) as error:
                self._intake.refused += 1
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            except (Busy, CannotWrite) as error:
                context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            response: bytes = self._intake.answer(signal, rejected).SerializeToString()
            return response

        return take
