"""What the process is doing now: the live table, and why the process does not end.

Nothing here runs until somebody asks.  Then the recorded lifetimes are read, and the program's
tasks, loops and handles are looked up where asyncio keeps them; nothing of whence refers to any of
them afterwards.  Any thread may ask, also while the loop is blocked.
"""

from .active_resource import ActiveResource, Hop
from .snapshot import Snapshot, active_resources, take

__all__ = ["ActiveResource", "Hop", "Snapshot", "active_resources", "take"]
