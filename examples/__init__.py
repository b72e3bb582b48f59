"""Programs worth tracing, which know nothing of whence; and `demo`, which traces one of them."""
