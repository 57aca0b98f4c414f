"""Which URLs and addresses may be called."""

from __future__ import annotations

import ipaddress

import pytest

from services.notifier.targets import Targets

PRODUCTION = Targets()
SANDBOX = Targets(sandbox=True)
INSIDE = Targets(allow=(ipaddress.ip_network("10.20.0.0/16"), ipaddress.ip_network("fd00:20::/32")))

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
LOOPBACK = ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"]
NEVER = [
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # a cloud's metadata
    "168.63.129.16",  # another's
    "169.254.169.254",  # most clouds'
    "172.16.0.1",
    "192.0.0.192",  # another's
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "224.0.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::10.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",  # NAT64 of link-local
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
    "2001:db8::1",
    "2002:a00:1::1",  # 6to4 of 10.0.0.1
    "2a00:1450::5efe:a00:1",  # ISATAP of 10.0.0.1
    "fc00::1",
    "fd00:ec2::254",  # a cloud's metadata
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str) -> None:
    assert PRODUCTION.permits(address)


@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_lead_inside_are_not_in_whatever_form(address: str) -> None:
    assert not PRODUCTION.permits(address)
    assert not SANDBOX.permits(address)


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_is_for_a_sandbox_alone(address: str) -> None:
    assert not PRODUCTION.permits(address)
    assert SANDBOX.permits(address)


def test_networks_that_an_operator_allows_are_permitted_and_nothing_beside() -> None:
    assert INSIDE.permits("10.20.3.4")
    assert INSIDE.permits("::ffff:10.20.3.4")
    assert INSIDE.permits("fd00:20::7")
    assert INSIDE.permits("8.8.8.8")
    assert not INSIDE.permits("10.21.0.1")
    assert not INSIDE.permits("127.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/a?b=c",
        "https://[2606:4700::1111]/",
        "https://8.8.8.8/",
    ],
)
def test_https_urls_with_public_hosts_are_taken_as_they_are(url: str) -> None:
    assert PRODUCTION.url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://a.localhost/",
        "https://intranet/",
        "https://printer.local/",
        "https://db.internal/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://user:secret@example.com/",
        "https://example.com\\@10.0.0.1/",
        "https://@example.com/",
        "https://example.com:99999/",
        "https://exämple.com/",
        "https:///path",
        "//example.com/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "",
    ],
)
def test_others_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        PRODUCTION.url(url)


def test_a_sandbox_takes_http_and_loopback_but_no_private_network() -> None:
    for url in (
        "http://example.com/",
        "http://127.0.0.1:8080/hook",
        "http://localhost:8080/",
        "http://[::1]:1/",
    ):
        assert SANDBOX.url(url) == url
    with pytest.raises(ValueError, match="public"):
        SANDBOX.url("http://192.168.1.1/")


def test_with_networks_allowed_a_name_of_the_inside_is_taken_and_looked_up_when_called() -> None:
    assert INSIDE.url("https://hooks.corp.internal/") == "https://hooks.corp.internal/"
    assert INSIDE.url("https://10.20.0.9/") == "https://10.20.0.9/"
    with pytest.raises(ValueError, match="public"):
        INSIDE.url("https://10.21.0.9/")
