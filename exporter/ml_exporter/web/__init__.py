"""The HTTP side of the exporter: a server with deadlines, its routes, and the pages for people.

It reads one value, the newest `Snapshot`, and computes nothing on a scrape.
"""

from .access import Access, WebConfig, gate
from .app import Snapshot, create_app
from .connection import Limits
from .lifecycle import Lifecycle, Reloads
from .outside import Outside
from .server import Address, Server
from .site import Site, site

__all__ = [
    "Access",
    "Address",
    "Lifecycle",
    "Limits",
    "Outside",
    "Reloads",
    "Server",
    "Site",
    "Snapshot",
    "WebConfig",
    "create_app",
    "gate",
    "site",
]
