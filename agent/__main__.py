"""`python -m whence` is the command `whence`."""

import sys

from .cli import main

sys.exit(main())
