"""Runs the shop, as `python -m examples.shop` and as `python examples/shop`."""

import os
import sys
from importlib import import_module

if __package__:
    package = __package__
else:
    # A folder run as a program is itself on the path; as a package it is found one level up.
    sys.path[0], package = os.path.split(os.path.dirname(os.path.abspath(__file__)))

import_module(f"{package}.command").main()
