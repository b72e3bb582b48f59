"""Programs worth tracing.  They stand for themselves: none of them knows of whence."""
