"""`whence demo`: traces the shop for some seconds, as anybody would, and prints what was seen.

The shop is a process of its own under `whence run`, which writes a file and offers metrics; what is
printed comes out of these.  What the agent itself says goes to stderr, as always.

- `command.py`: the options, the process, where to look.
- `showing.py`: the traces, as trees.
- `numbers.py`: the metrics, as a table.
"""
