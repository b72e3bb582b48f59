"""The folder that attaches the agent when it stands on PYTHONPATH.

This file must do nothing else: with the repository on PYTHONPATH, Python imports it as the
top-level `sitecustomize`.
"""

import os

FOLDER = os.path.dirname(os.path.abspath(__file__))
