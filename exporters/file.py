"""Spans to a file: one OTLP request in JSON on each line, as a Collector's file exporter writes."""

import os
from collections.abc import Sequence

from whence.engine import SpanLifetime, Trace
from whence.sending.exporting import ExportError, Taken
from whence.settings.config import Settings

from .otlp.json_encoder import JsonEncoder
from .spans import SpanMaker, span_maker

_APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


class FileExporter:
    """Appends to a file.  Several processes may append to the same one."""

    label = "file"

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._torn = False
        self._encoder = JsonEncoder()

    def start(self, settings: Settings) -> None:
        """Read the settings.  The file is made with the first span."""
        path = settings.output_path()
        assert path is not None, "the settings give the file exporter a path"
        self._path = path
        self.label = f"the file {path}"
        self._maker: SpanMaker = span_maker(settings)

    def export(self, batch: Sequence[SpanLifetime], timeout: float | None) -> Taken:
        """Append those that are sampled, as one line."""
        spans = self._maker.spans_of(batch)
        unsampled = len(batch) - len(spans)
        if spans:
            line = self._encoder.request(spans, self._maker.resource) + "\n"
            try:
                self._append(line.encode())
            except OSError as error:
                self.stop(0)
                raise ExportError(
                    f"{self._path} cannot be written ({error.strerror}); spans are dropped",
                    Taken(0, unsampled),
                ) from error
        return Taken(len(spans), unsampled)

    def check(self, timeout: float) -> None:
        """Whether the file can be written; does not make it.  Raises ExportError."""
        folder = os.path.dirname(self._path)
        if os.path.isdir(self._path):
            problem = "it is a folder"
        elif not os.path.isdir(folder):
            problem = f"there is no folder {folder}"
        elif not os.access(self._path if os.path.exists(self._path) else folder, os.W_OK):
            problem = "permission denied"
        else:
            return
        raise ExportError(f"{self._path} cannot be written ({problem}); spans are dropped")

    def is_sampled(self, trace: Trace) -> bool:
        """Whether the sampler wants a trace."""
        return self._maker.identity_of(trace).sampled

    def stop(self, timeout: float) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def abandon(self) -> None:
        """In a forked child."""
        self.stop(0)

    def _append(self, line: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, _APPENDING, 0o644)
        if self._torn:
            line = b"\n" + line
        # In one call as a rule: the lines of several processes do not mix.
        while line:
            written = os.write(self._descriptor, line)
            line = line[written:]
            self._torn = bool(line)
