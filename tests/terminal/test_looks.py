"""How often a process is asked for what costs it much."""

from typing import Any

import pytest

from whence.serving.processes import Process
from whence.terminal import looks
from whence.terminal.looks import SHARE, Looks


class Answering(Process):
    """Answers as one whose table takes long to make, and notes what it is asked."""

    cost = 0.1
    asked: list[str]

    def ask(self, question: str, *, patience: float = 0.0, **details: Any) -> dict[str, Any]:
        self.asked.append(question)
        return {"cost": self.cost, **details}


@pytest.fixture
def process() -> Answering:
    Answering.asked = []
    return Answering(1, "", 0)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(looks, "monotonic", lambda: now[0])
    return now


def test_a_table_takes_no_more_than_its_share(process: Answering, time: list[float]) -> None:
    made = Looks(process)
    for _ in range(20):
        made.look("age", "", steps=False)
        time[0] += 1.0
    assert process.asked.count("pulse") == 20
    assert process.asked.count("resources") == 20 // (process.cost / SHARE)
    _, _, old = made.look("age", "", steps=False)
    assert old == 0.0


def test_another_question_is_asked_at_once(process: Answering, time: list[float]) -> None:
    made = Looks(process)
    made.look("age", "", steps=False)
    _, table, _ = made.look("run", "Ta[sk", steps=True)
    assert (table["sort"], table["types"], table["steps"]) == ("run", ["Ta[[]sk"], True)
    time[0] += 1.0
    _, same, old = made.look("run", "Ta[sk", steps=True)
    assert same is table
    assert old == 1.0
