"""The HTTP side of the exporter: a server with deadlines, its routes, and the pages for people.

It reads one value, the newest `Snapshot`, and computes nothing on a scrape.
"""

from .app import Snapshot, create_app
from .pages import ModelRow
from .server import Limits, Server

__all__ = ["Limits", "ModelRow", "Server", "Snapshot", "create_app"]
