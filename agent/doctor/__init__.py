"""`whence doctor`: what is in, what is not and why, before anybody deploys the agent.

    settings -> the program's Python -> two processes that attach -> their answers -> findings

It guesses nothing that it can try: a process of that Python attaches as a program would, imports
every library, runs tasks on the loops and asks the exporters' destinations.  `probe.py` and
`inside.py` run there, everything else here; each `checks_*.py` judges one subject.

The exit code is 1 if there is an error among the findings.
"""

from .verb import doctor

__all__ = ["doctor"]
