from ipaddress import ip_address

import pytest

from services.errors import InvalidSetting
from services.outbound.addresses import Allowed, is_public

PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15
169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
203.0.112.255 203.0.114.0 223.255.255.255
2001:200:: 2001:4860:4860::8888 2003:: 2606:4700::1111 2a00:1450::1 3ffe:ffff::1 64:ff9b::8.8.8.8
"""

NOT_PUBLIC = """
0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.255
168.63.129.16 169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.9 192.0.0.192
192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.0 192.168.255.255 192.175.48.1 198.18.0.0 198.19.255.255
198.51.100.1 203.0.113.255 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.254 255.255.255.255
:: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:0:0 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8
64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::1 64:ff9b:1::8.8.8.8 100::1 100:0:0:1::1
1fff:ffff:: 2001::1 2001:0:808:808:: 2001:1::1 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1 2001:30::1
2001:1ff:ffff:ffff:: 2001:db8::1 2001:db8:ffff:ffff::1 2002:: 2002:7f00:1:: 2002:808:808::1 2620:4f:8000::1 3fff::1
3fff:fff:ffff:: 4000:: 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%1 febf::1 fec0::1 feff::1 ff02::1 ff0e::1
2a00:1450::1%1
"""


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_addresses_of_special_purpose_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "allow, host, address",
    [
        ("", "example.com", "8.8.8.8"),
        ("images.internal", "images.internal", "10.0.0.1"),
        ("images.internal", "IMAGES.internal.", "fd00::1"),
        ("Images.Internal.", "images.internal", "10.0.0.1"),
        (" a.internal , b_2.internal,, ", "b_2.internal", "127.0.0.1"),
        ("localhost", "localhost", "::1"),
        ("10.0.0.0/8", "any.example", "10.255.0.1"),
        ("127.0.0.1", "any.example", "127.0.0.1"),
        ("fd00::/8,::1", "any.example", "::1"),
        ("a.internal,10.0.0.0/8,127.0.0.1", "x", "127.0.0.1"),
    ],
)
def test_what_is_named_may_be_fetched_from(allow: str, host: str, address: str) -> None:
    assert Allowed(allow).permits(host, ip_address(address))


@pytest.mark.parametrize(
    "allow, host, address",
    [
        ("", "images.internal", "10.0.0.1"),
        ("images.internal", "x.images.internal", "10.0.0.1"),
        ("images.internal", "images.internal.example.com", "10.0.0.1"),
        ("images.internal", "10.0.0.1", "10.0.0.1"),
        ("10.0.0.0/8", "x", "127.0.0.1"),
        ("10.0.0.0/8", "x", "::ffff:10.0.0.1"),
        ("10.0.0.0/8", "x", "64:ff9b::10.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "127.0.0.1", "::1"),
    ],
)
def test_what_is_not_named_stays_out_of_reach(allow: str, host: str, address: str) -> None:
    assert not Allowed(allow).permits(host, ip_address(address))


@pytest.mark.parametrize(
    "entry, hint",
    [
        ("images.internal:8080", "has a port"),
        ("10.0.0.1:80", "has a port"),
        ("[::1]:80", "has a port"),
        ("http://images.internal", "is a URL"),
        ("https://10.0.0.1:80/", "is a URL"),
        ("10.0.0.1/8", "no bits after"),
        ("10.0.0.0/33", "is no host name, address or CIDR"),
        ("10.0.0.0/8/8", "is no host name, address or CIDR"),
        ("[::1]", "is no host name, address or CIDR"),
        ("*.internal", "is no host name, address or CIDR"),
        ("images internal", "is no host name, address or CIDR"),
        ("images..internal", "is no host name, address or CIDR"),
        ("images\x00", "is no host name, address or CIDR"),
        ("-internal", "is no host name, address or CIDR"),
        ("127.1", "is no host name, address or CIDR"),
        ("2130706433", "is no host name, address or CIDR"),
        ("0x7f000001", "is no host name, address or CIDR"),
        ("010.0.0.1", "is no host name, address or CIDR"),
        ("bücher.internal", "xn--"),
    ],
)
def test_a_malformed_entry_is_named(entry: str, hint: str) -> None:
    with pytest.raises(InvalidSetting, match="LOOKALIKE_FETCH_ALLOW") as raised:
        Allowed(f"good.internal,{entry},10.0.0.0/8")
    assert repr(entry) in str(raised.value)
    assert hint in str(raised.value)
