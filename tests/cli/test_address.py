"""Addresses to listen on: what is one, who reaches it, what is said where it fails."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from feathergate.cli.address import Address, explain_failure, is_loopback, open_socket, parse_address, url


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_address_is_host_and_port(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "8080", ":8080", "host:", "host:http", "host:65536", "::1:80", "a:-1", "a:٣"])
def test_other_text_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|brackets"):
        parse_address(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "127.255.0.9", "localhost", "LOCALHOST", "::1", "0:0::1"])
def test_loopback_is_reached_from_this_machine_only(host: str) -> None:
    assert is_loopback(Address(host, 80))


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "::", "192.0.2.1", "::ffff:192.0.2.1", "128.0.0.1"])
def test_other_addresses_are_reached_from_elsewhere(host: str) -> None:
    assert not is_loopback(Address(host, 80))


@pytest.mark.parametrize("host", ["example.org", "nowhere", "127.0.0.1.example.org", "300.1.1.1"])
def test_name_is_not_resolved(host: str) -> None:
    with pytest.raises(socket.gaierror) as caught:
        is_loopback(Address(host, 80))
    assert "not an IP address" in explain_failure(Address(host, 80), caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EADDRINUSE, "another port"),
        (errno.EACCES, "above 1023"),
        (errno.EADDRNOTAVAIL, "not an address of this machine"),
        (errno.ENOBUFS, os.strerror(errno.ENOBUFS)),
    ],
)
def test_failure_is_told_in_one_line_with_the_remedy(code: int, words: str) -> None:
    line = explain_failure(Address("127.0.0.1", 80), OSError(code, os.strerror(code)))
    assert "127.0.0.1:80" in line
    assert words in line
    assert "\n" not in line


def test_open_socket_accepts_from_the_start() -> None:
    with open_socket(Address("localhost", 0)) as listening:
        socket.create_connection(listening.getsockname()).close()


def test_url_is_one_that_this_machine_can_ask() -> None:
    assert url(Address("0.0.0.0", 80)) == "http://127.0.0.1:80/v1"
    assert url(Address("::", 80)) == "http://[::1]:80/v1"
