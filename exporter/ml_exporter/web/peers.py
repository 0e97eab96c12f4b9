"""How many connections there are, and whose: one peer, and all of them, may hold only so many."""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address


def peer_of(host: str) -> str:
    """What counts as one peer: an IPv4 address, or the network of an IPv6 address, in which a peer has them all.

    >>> peer_of("::ffff:192.0.2.1"), peer_of("192.0.2.1"), peer_of("2001:db8::1") == peer_of("2001:db8::2")
    ('192.0.2.1', '192.0.2.1', True)
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped) if address.ipv4_mapped else f"{int(address) >> 64:x}::/64"


class Peers:
    """The open connections by peer, each with what ends it.

    A peer beyond `per_peer` is refused. Beyond `total` nobody is: the peer with the most connections loses its oldest
    one, so that whoever holds many cannot shut out a scraper that holds one.
    """

    def __init__(self, per_peer: int, total: int) -> None:
        self._per_peer, self._total = per_peer, total
        self._held: dict[str, dict[object, Callable[[], None]]] = {}

    @property
    def count(self) -> int:
        """All connections."""
        return sum(map(len, self._held.values()))

    def enter(self, peer: str, key: object, end: Callable[[], None]) -> bool:
        """Count a connection of a peer. False if it is refused, and not counted."""
        held = self._held.get(peer, {})
        if len(held) >= self._per_peer:
            return False
        if self.count >= self._total:
            greatest = max(self._held, key=lambda name: len(self._held[name]))
            oldest = next(iter(self._held[greatest]))
            end_oldest = self._held[greatest][oldest]
            self.leave(greatest, oldest)
            end_oldest()
        self._held.setdefault(peer, held)[key] = end
        return True

    def leave(self, peer: str, key: object) -> None:
        """Forget a connection, if it is counted."""
        held = self._held.get(peer, {})
        held.pop(key, None)
        if not held:
            self._held.pop(peer, None)
