"""Programs worth tracing, each in a folder, which know nothing of whence; and `whence demo`, which
traces one of them: `demo.py`, `showing.py`, `numbers.py`."""
