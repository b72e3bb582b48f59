"""Runs a program that hangs, and asks it from a thread of ours why, until it says what is expected.

    python asker.py SECONDS KIND LINE PROGRAM

Prints the last answer as JSON, and the text.
"""

import json
import os
import runpy
import sys
from time import monotonic, sleep

import whence
from whence.background import Background
from whence.live.snapshot import take
from whence.live.why import why
from whence.live.why_text import text_of


def ask() -> None:
    try:
        _ask_until_told()
    finally:
        os._exit(1)


def _ask_until_told() -> None:
    until = monotonic() + float(seconds)
    answer = {}
    while monotonic() < until:
        answer = why(take(deep=True)).as_dict()
        if answer["findings"]:
            first = answer["findings"][0]
            sites = [hop["site"] for hop in first["path"] if hop["site"]]
            places = [(os.path.basename(site["file"]), site["line"]) for site in sites]
            if first["kind"] == kind and (os.path.basename(program), int(line)) in places:
                break
        sleep(0.02)
    print(json.dumps({**answer, "text": text_of(answer)}), flush=True)
    os._exit(0)


seconds, kind, line, program = sys.argv[1:]
whence.attach(export="none")
Background(ask).start()
runpy.run_path(program, run_name="__main__")
