"""The HTTP side of the exporter: a server with deadlines, its routes, and the pages for people.

It reads one value, the newest `Snapshot`, and computes nothing on a scrape.
"""

from .app import Snapshot, create_app
from .connection import Limits
from .lifecycle import Lifecycle, Reloads, with_lifecycle
from .pages import ModelRow
from .server import Address, Server
from .site import Site, site, under

__all__ = [
    "Address",
    "Lifecycle",
    "Limits",
    "ModelRow",
    "Reloads",
    "Server",
    "Site",
    "Snapshot",
    "create_app",
    "site",
    "under",
    "with_lifecycle",
]
