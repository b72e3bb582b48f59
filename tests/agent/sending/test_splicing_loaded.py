"""What is asked of the exporters where spans of the application meet ours."""

import pytest

import whence
from whence.sending import splicing as module
from whence.sending.splicing import splicing


def test_without_an_agent_there_is_nobody_to_ask() -> None:
    assert splicing() is None


def test_nor_with_one_that_sends_nothing() -> None:
    whence.attach(export=["none"])
    try:
        assert splicing() is None
    finally:
        whence.detach()


def test_of_one_agent_it_is_always_the_same() -> None:
    whence.attach(export=["console"])
    try:
        first = splicing()
        assert first is not None
        assert splicing() is first
    finally:
        whence.detach()


def test_what_cannot_be_loaded_is_told_once_and_done_without(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_SPLICING", "whence.exporters.no_such_module:Splicing")
    whence.attach(export=["console"])
    try:
        assert splicing() is splicing() is None
    finally:
        whence.detach()
    (line,) = capfd.readouterr().err.splitlines()
    assert "no_such_module" in line


def test_what_is_still_being_imported_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def half_imported(place: str) -> None:
        raise ImportError("cannot import name 'identities' from partially initialized module 'x'")

    with monkeypatch.context() as patch:
        patch.setattr(module, "load", half_imported)
        whence.attach(export=["console"])
        assert splicing() is None
    try:
        assert splicing() is not None
    finally:
        whence.detach()
    assert capfd.readouterr().err == ""
