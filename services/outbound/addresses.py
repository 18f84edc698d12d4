"""Which addresses untrusted URLs may connect to: public ones, and those that the operator allows."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from services.errors import InvalidSetting

Address = IPv4Address | IPv6Address

# Not `ipaddress.is_global`: in Python 3.11 it treats multicast, site-local and 3fff::/20 as global.
# Sources: the IANA registries iana-ipv4-special-registry, iana-ipv6-special-registry and multicast-addresses. Blocks
# that these call globally reachable (anycast of relays, AS112) are listed, too: no images are served from there.
NOT_PUBLIC_V4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared (carrier-grade NAT; Alibaba's metadata)
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # in no registry: Azure's internal services, from within its machines
        "169.254.0.0/16",  # link-local (metadata of most clouds)
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocols (Oracle's metadata)
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the limited broadcast
    )
)
# IANA allocates global unicast addresses from this block only. So loopback, unspecified, IPv4-mapped and -compatible
# (::/8), local-use NAT64 (64:ff9b:1::/48), discard (100::/64), segment routing (5f00::/16), unique local (fc00::/7),
# link-local, site-local (fe80::/9) and multicast (ff00::/8) need no entries.
GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
NOT_PUBLIC_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocols: Teredo, benchmarking, AMT, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# Through these, IPv6-only networks reach IPv4; the last 32 bits are the IPv4 address.
NAT64 = IPv6Network("64:ff9b::/96")

# Excludes names that end in a number: other spellings of addresses (127.1, 0x7f000001), which `ip_network` rejects.
HOST_NAME = re.compile(r"(?!-|(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?$)[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


def is_public(address: Address) -> bool:
    """Whether the address leads to the public internet only."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in NOT_PUBLIC_V4)
    if address.scope_id is not None:
        return False
    if address in NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in GLOBAL_UNICAST_V6 and not any(address in block for block in NOT_PUBLIC_V6)


class Allowed:
    """The addresses that may be connected to: public ones, and those in LOOKALIKE_FETCH_ALLOW.

    That is a comma-separated list of host names, which may have any address, and of addresses or CIDRs. A malformed
    one raises `InvalidSetting`.
    """

    def __init__(self, names: str = "") -> None:
        self._hosts: set[str] = set()
        self._blocks: list[IPv4Network | IPv6Network] = []
        for name in filter(None, map(str.strip, names.split(","))):
            try:
                self._blocks.append(ip_network(name))
            except ValueError as error:
                if not HOST_NAME.fullmatch(name.lower()):
                    raise InvalidSetting(f"LOOKALIKE_FETCH_ALLOW: {name!r} {_fault(name)}.") from error
                self._hosts.add(_plain(name))

    def permits(self, host: str, address: Address) -> bool:
        """Whether `host`, as written in a URL, may be connected to at `address`."""
        return is_public(address) or _plain(host) in self._hosts or any(address in block for block in self._blocks)


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _fault(name: str) -> str:
    host, colon, port = name.rpartition(":")
    if "://" in name:
        return "is a URL; give its host name only"
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return "has a port; leave it out, since an allowed host may be fetched from at every port"
    if not name.isascii():
        return "is no ASCII; give the form of the host name that begins with xn--"
    return "is no host name, address or CIDR (such as images.internal, 10.1.2.3 or 10.0.0.0/8, no bits after its /8)"
