"""How many connections there are, and whose: one peer, and all of them, may hold only so many."""

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any

_REMEMBERED = 1024


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


def peer_of_client(client: Sequence[Any] | None) -> str:
    """The peer of a request, whose `client` is an address and a port, or None where there is none."""
    return peer_of(str(client[0])) if client else ""


class Pace:
    """How fast each peer may come: `burst` at once, and `per_second` in the long run."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._interval = 1 / per_second
        self._lead = burst * self._interval
        self._due: dict[str, float] = {}
        """When each peer would have come, had it kept its pace from the start."""

    def allows(self, peer: str, now: float) -> bool:
        """Whether one more may come now, in seconds of a clock that never jumps. If so, it counts."""
        due = max(self._due.get(peer, now), now)
        if due + self._interval > now + self._lead:
            return False
        if len(self._due) >= _REMEMBERED:  # who is not ahead of its pace need not be remembered
            self._due = {name: at for name, at in self._due.items() if at > now}
        self._due[peer] = due + self._interval
        return True


class Peers:
    """The open connections by peer, each with what ends it.

    A peer beyond `per_peer` is refused. Beyond `total` nobody is: the peer with the most connections loses its oldest
    one, so that whoever holds many cannot shut out a scraper that holds one.
    """

    def __init__(self, per_peer: int, total: int) -> None:
        self._per_peer, self._total = per_peer, total
        self._held: dict[str, dict[object, Callable[[], object]]] = {}
        self._count = 0

    @property
    def count(self) -> int:
        """All connections."""
        return self._count

    def has_room(self, peer: str) -> bool:
        """Whether a connection of this peer would be let in now."""
        return len(self._held.get(peer, ())) < self._per_peer

    def enter(self, peer: str, key: object, end: Callable[[], object]) -> bool:
        """Count a connection of a peer. False if it is refused, and not counted."""
        if not self.has_room(peer):
            return False
        if self._count >= self._total:
            greatest = max(self._held, key=lambda name: len(self._held[name]))
            oldest, end_oldest = next(iter(self._held[greatest].items()))
            self.leave(greatest, oldest)
            end_oldest()
        self._held.setdefault(peer, {})[key] = end
        self._count += 1
        return True

    def leave(self, peer: str, key: object) -> None:
        """Forget a connection, if it is counted."""
        held = self._held.get(peer, {})
        if held.pop(key, None) is not None:
            self._count -= 1
        if not held:
            self._held.pop(peer, None)
