"""Who may connect and ask: TLS, client certificates and passwords, by a file in exporter-toolkit's format."""

from .gate import gate
from .reading import Access
from .users import Doorman
from .watching import WebConfig

__all__ = ["Access", "Doorman", "WebConfig", "gate"]
