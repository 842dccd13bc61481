"""Network addresses: which of them belong to one client, and which to everybody."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


def network_of(address: str) -> str:
    """What stands for the client: an IPv4 address, the /64 of an IPv6 address, or the text itself if it is neither."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False))


_TRANSLATED = ip_network("64:ff9b::/96")
_GIVEN_OUT = ip_network("2000::/3")
"""All of IPv6 that is given out to anybody (RFC 4291); outside of it are also older ways to write an IPv4 address."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it belongs to the internet at large, also as what an IPv6 address carries along."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _TRANSLATED:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return is_public(inner)
        if address not in _GIVEN_OUT:
            return False
    return address.is_global and not address.is_multicast
