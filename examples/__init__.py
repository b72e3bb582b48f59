"""Programs worth tracing, which know nothing of whence; and `demo.py`, which traces one of them."""
