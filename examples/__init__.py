"""Programs worth tracing, a folder each, which know nothing of whence; and `whence demo`, which traces
one of them: `demo.py`, `showing.py`, `numbers.py`."""
