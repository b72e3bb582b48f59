"""What a receiver answers: how many spans it rejected, and why."""

import json

_NOTHING = (b"", b"\n\x00")
"""Nothing, and an empty partial success."""


def rejected_in_protobuf(answer: bytes) -> tuple[int, str]:
    """Of an ExportTraceServiceResponse.  Answers that are none reject nothing."""
    if answer in _NOTHING:
        return 0, ""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return 0, ""
    return partial.rejected_spans, partial.error_message


def rejected_in_json(answer: bytes) -> tuple[int, str]:
    """The same in JSON."""
    try:
        partial = json.loads(answer or b"{}").get("partialSuccess") or {}
        return int(partial.get("rejectedSpans", 0)), str(partial.get("errorMessage", ""))
    except (ValueError, TypeError, AttributeError):
        return 0, ""
