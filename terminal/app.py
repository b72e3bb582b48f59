"""The screen of `whence top`."""

from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import DataTable, Footer, Input, Sparkline, Static
from textual.worker import get_current_worker

from whence.commands.showing import duration, number
from whence.serving.asking import NoAnswer
from whence.serving.processes import Process

from .looks import Looks
from .path import PathScreen
from .readings import Reading, Readings
from .rows import (
    SORTS,
    TITLES,
    aligned,
    blocker_cells,
    chosen,
    delays,
    headline,
    resource_cells,
    type_cells,
)

_SHOWN = 500
_WIDEST = 60
"""Columns of the terminal that a column of a table takes at the most."""

CSS = """
Screen { layout: vertical; }
#headline { height: 1; text-style: bold; background: $primary-background; padding: 0 1; }
#headline.gone { background: $error; }
#delays { height: 1; padding: 0 1; }
#trends { height: 2; padding: 0 1; }
#trends Sparkline { width: 1fr; height: 1; }
#trends Static { width: 18; height: 1; color: $text-muted; }
#busy-trend, #delay-trend { height: 1; }
#upper { height: 2fr; min-height: 6; }
#resources { height: 3fr; }
#types { width: 1fr; min-width: 40; }
#blockers { width: 1fr; }
DataTable { height: 100%; border: round $primary; border-title-color: $text; scrollbar-size: 1 1; }
DataTable:focus { border: round $accent; }
#filter { display: none; height: 3; }
#filter.open { display: block; }
PathScreen { align: center middle; }
#path { width: 92%; height: 88%; border: round $accent; background: $surface; padding: 1 2; }
#known { margin-bottom: 1; }
"""


class Top(App[int]):
    """Looks at a process again and again, and shows it."""

    CSS = CSS
    TITLE = "whence top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("s", "sort", "sort"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("escape", "clear", "no filter"),
        Binding("f", "steps", "futures"),
        Binding("p", "pause", "pause"),
    ]

    def __init__(self, process: Process, interval: float) -> None:
        """`interval` is in seconds, from the end of a look to the next one."""
        super().__init__()
        self._process = process
        self._interval = interval
        self._looks = Looks(process)
        self._readings = Readings()
        self._resources: dict[str, dict[str, Any]] = {}
        self.reading: Reading | None = None
        """The last look; None before the first."""
        self.problem = ""
        """Why there will be no further look."""
        self.paused = False
        self.sort = "wait"
        self.words = ""
        self.type = ""
        """The one type that is shown."""
        self.steps = False

    def compose(self) -> ComposeResult:
        """The parts of the screen."""
        yield Static("", id="headline")
        yield Static("", id="delays")
        with Vertical(id="trends"):
            with Horizontal(id="busy-trend"):
                yield Static("busy")
                yield Sparkline(id="busy")
            with Horizontal(id="delay-trend"):
                yield Static("loop delay p99")
                yield Sparkline(id="delay")
        with Horizontal(id="upper"):
            yield DataTable[str](id="types", cursor_type="row")
            yield DataTable[str](id="blockers", cursor_type="row")
        yield DataTable[str](id="resources", cursor_type="row")
        yield Input(placeholder="words that a row has, such as: worker waiting", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        """Look for the first time."""
        for name, titles in TITLES.items():
            table = self._table(name)
            table.add_columns(*titles)
            table.border_title = name
        self._table("types").border_subtitle = "enter: one type alone"
        self._table("resources").border_subtitle = "enter: its path"
        self._table("resources").focus()
        self._look_again()

    def _look_again(self) -> None:
        self.run_worker(self._look, thread=True)

    def _look(self) -> None:
        """In a thread: the process may take its time to answer."""
        worker = get_current_worker()
        reading, problem = self.reading, ""
        if not self.paused:
            try:
                sort = SORTS[self.sort].key
                reading = self._readings.add(*self._looks.look(sort, self.type, steps=self.steps))
            except NoAnswer as error:
                problem = str(error)
        if not worker.is_cancelled:
            self.call_from_thread(self._take, reading, problem)

    def _take(self, reading: Reading | None, problem: str) -> None:
        if not self.query("#headline"):
            return  # the screen has been taken down meanwhile
        self.problem = problem
        if reading is not None:
            self.reading = reading
        if problem:
            shown = self.query_one("#headline", Static)
            shown.add_class("gone")
            shown.update(Content(f"{problem}  (q: quit)"))
            return
        if not self.paused:
            self._show()
        self.set_timer(self._interval, self._look_again)

    def _show(self) -> None:
        reading = self.reading
        if reading is None or self.problem:
            return
        with self.batch_update():
            paused = "paused  " if self.paused else ""
            self.query_one("#headline", Static).update(Content(paused + headline(reading)))
            self.query_one("#delays", Static).update(Content(delays(reading)))
            self.query_one("#busy", Sparkline).data = [0.0, *reading.busy_history]
            self.query_one("#delay", Sparkline).data = [0.0, *reading.delay_history]
            self._fill("types", {row.type: type_cells(row) for row in reading.types})
            self._fill(
                "blockers",
                {str(at): blocker_cells(one) for at, one in enumerate(reading.blockers)},
            )
            self._show_resources(reading)

    def _show_resources(self, reading: Reading) -> None:
        found = chosen(
            reading.resources, words=self.words, types=self.type, sort=self.sort, steps=self.steps
        )
        self._resources = {str(one["async_id"]): one for one in found[:_SHOWN]}
        self._fill("resources", {key: resource_cells(one) for key, one in self._resources.items()})
        parts = [f"{len(found)} resources", f"by {SORTS[self.sort].label}"]
        parts += [f"of type {self.type}"] * bool(self.type)
        parts += [f"with {self.words!r}"] * bool(self.words)
        parts += [f"{number(reading.left_out)} more"] * bool(reading.left_out)
        parts += [f"{duration(reading.old)} ago"] * (reading.old > self._interval)
        self._table("resources").border_title = ", ".join(parts)

    def _fill(self, name: str, rows: dict[str, tuple[str, ...]]) -> None:
        """Replace the rows; the cursor stays on the one that it is on, if that is still there."""
        table = self._table(name)
        keys = [str(row.key.value) for row in table.ordered_rows]
        current = keys[table.cursor_row] if table.cursor_row < len(keys) else None
        offset = table.scroll_offset
        table.clear()
        titles = TITLES[name]
        for key, cells in zip(rows, aligned(titles, list(rows.values())), strict=True):
            table.add_row(*map(Content, cells), key=key)  # type: ignore[arg-type]
        for column, *texts in zip(table.ordered_columns, titles, *rows.values(), strict=True):
            # Its own measuring takes place only after the rows have been replaced again.
            column.auto_width = False
            column.width = min(_WIDEST, max(len(str(text)) for text in texts))
        if current in rows:
            table.move_cursor(row=list(rows).index(current), animate=False, scroll=False)
        table.scroll_to(offset.x, offset.y, animate=False)

    def _table(self, name: str) -> "DataTable[str]":
        return self.query_one(f"#{name}", DataTable)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """A type is what is shown from now on; a resource is opened."""
        key = str(event.row_key.value)
        if event.data_table.id == "types":
            self.type = "" if self.type == key else key
            self._show()
        elif event.data_table.id == "resources" and key in self._resources:
            self.push_screen(PathScreen(self._process, self._resources[key]))

    def action_sort(self) -> None:
        """Sort by the next key."""
        keys = list(SORTS)
        self.sort = keys[(keys.index(self.sort) + 1) % len(keys)]
        self._show()

    def action_filter(self) -> None:
        """Ask for words."""
        field = self.query_one("#filter", Input)
        field.add_class("open")
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what has the words so far."""
        self.words = event.value.strip()
        self._show()

    def on_input_submitted(self) -> None:
        """Back to the table."""
        self.query_one("#filter").remove_class("open")
        self._table("resources").focus()

    def action_clear(self) -> None:
        """Show everything again."""
        self.type = ""
        self.query_one("#filter", Input).value = ""
        self.on_input_submitted()
        self._show()

    def action_steps(self) -> None:
        """Show callbacks and futures too, or no more."""
        self.steps = not self.steps
        self._show()

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self.paused = not self.paused
        self._show()
