"""Who may come, how fast, and whose turn it is: without sockets."""

import asyncio

import pytest

from ml_exporter.web.accepting import Turns
from ml_exporter.web.peers import Pace, Peers, peer_of


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::1", "20010db800000001::/64"),
        ("2001:db8:0:1:ffff::", "20010db800000001::/64"),
        ("::1", "0::/64"),
        ("fe80::1%eth0", "fe80000000000000::/64"),
        ("", ""),
        ("/run/socket", "/run/socket"),
    ],
)
def test_a_peer_is_an_address_or_a_network(host, peer):
    assert peer_of(host) == peer


def test_a_peer_comes_so_many_at_once_and_then_at_its_pace():
    pace = Pace(per_second=10, burst=5)
    assert [pace.allows("a", 100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert pace.allows("b", 100.0)
    assert not pace.allows("a", 100.05)
    assert pace.allows("a", 100.11)
    assert not pace.allows("a", 100.12)
    assert [pace.allows("a", 200.0) for _ in range(6)] == [True] * 5 + [False]


def test_refusals_do_not_count_and_a_steady_peer_is_never_refused():
    pace = Pace(per_second=10, burst=2)
    assert all(pace.allows("steady", number * 0.1001) for number in range(1000))
    for number in range(1000):
        pace.allows("flood", number * 0.001)
    assert pace.allows("flood", 1.2)


def test_who_keeps_the_pace_is_forgotten():
    pace = Pace(per_second=10, burst=5)
    for number in range(5000):
        assert pace.allows(f"p{number}", number * 0.01)
    assert len(pace._due) <= 1025


def test_beyond_all_connections_the_greatest_peer_loses_its_oldest():
    peers, ended = Peers(per_peer=3, total=4), []

    def enter(peer, key):
        return peers.enter(peer, key, lambda: ended.append(key))

    assert [enter("a", key) for key in ("a1", "a2", "a3", "a4")] == [True, True, True, False]
    assert enter("b", "b1")
    assert not peers.has_room("a")
    assert enter("c", "c1")
    assert ended == ["a1"]
    assert peers.count == 4
    assert enter("d", "d1")
    assert ended == ["a1", "a2"]
    assert enter("e", "e1")  # all have one: who came first goes
    assert ended == ["a1", "a2", "a3"]
    for peer, key in [("a", "a1"), ("b", "b1"), ("c", "c1"), ("d", "d1"), ("e", "e1"), ("e", "e1"), ("x", "y")]:
        peers.leave(peer, key)
    assert peers.count == 0
    assert peers._held == {}


def test_a_peer_may_lose_its_only_connection_to_its_own_next_one():
    peers, ended = Peers(per_peer=2, total=1), []
    assert peers.enter("a", 1, lambda: ended.append(1))
    assert peers.enter("a", 2, lambda: ended.append(2))
    assert (ended, peers.count) == ([1], 1)


def test_peers_take_turns_and_between_them_the_loop_goes_round():
    order: list[str] = []

    async def crowd():
        turns = Turns()

        async def come(peer, name):
            await turns.wait(peer)
            order.append(name)

        coming = [asyncio.create_task(come("evil", f"evil{number}")) for number in range(6)]
        coming += [asyncio.create_task(come(name, name)) for name in ("gone", "b", "c")]
        await asyncio.sleep(0)
        coming.pop(6).cancel()  # its turn comes and goes
        while len(order) < 8:
            order.append("-")
            await asyncio.sleep(0)
        await asyncio.gather(*coming)
        await come("later", "later")

    asyncio.run(crowd())
    done = [name for name in order if name != "-"]
    assert done == ["evil0", "b", "c", "evil1", "evil2", "evil3", "evil4", "evil5", "later"]
    assert order.index("-", 1) < order.index("evil1")
