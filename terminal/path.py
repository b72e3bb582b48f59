"""One resource, opened: how it came about, where it is, and why it is still there."""

from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import get_current_worker

from whence.commands.showing import all_printable
from whence.live.why_text import text_of
from whence.serving.asking import NoAnswer
from whence.serving.processes import Process

from .rows import path_lines


class PathScreen(ModalScreen[None]):
    """Shows what is known of a resource, and asks the process why it is there."""

    BINDINGS = [Binding("escape,q,enter", "dismiss", "back")]  # noqa: RUF012

    def __init__(self, process: Process, resource: dict[str, Any]) -> None:
        super().__init__()
        self._process = process
        self._resource = resource

    def compose(self) -> ComposeResult:
        """The parts of the screen."""
        lines = path_lines(self._resource)
        wide = max(len(label) for label, _ in lines)
        known = "\n".join(f"{label:<{wide}}  {text}" for label, text in lines)
        with VerticalScroll(id="path"):
            yield Static(Content(known), id="known")
            yield Static(Content("why: asking"), id="why")

    def on_mount(self) -> None:
        """Ask."""
        self.query_one("#path").border_title = f"{self._resource['name']}  (escape: back)"
        self.run_worker(self._ask, thread=True)

    def _ask(self) -> None:
        worker = get_current_worker()
        try:
            answer = self._process.ask("why", async_id=self._resource["async_id"])
            text = text_of(all_printable(answer))
        except NoAnswer as error:
            text = str(error)
        if not worker.is_cancelled:
            self.app.call_from_thread(self.query_one("#why", Static).update, Content(text))
