"""Where to listen: parsing, who can reach it, binding. Names other than `localhost` are not resolved, because that
may take as long as the network likes.
"""

from __future__ import annotations

import errno
import socket
from typing import NamedTuple

BACKLOG = 4096

_REMEDIES = {
    errno.EADDRINUSE: "is in use: stop what listens there, or choose another port (0 picks a free one)",
    errno.EACCES: "may not be used by this user: choose a port above 1023",
    errno.EPERM: "may not be used by this user: choose a port above 1023",
    errno.EADDRNOTAVAIL: "is not an address of this machine: use 127.0.0.1, or 0.0.0.0 for all that it has",
    errno.EAFNOSUPPORT: "is of a family that this machine does not have: use 127.0.0.1",
}


class Address(NamedTuple):
    """A host and a port. `host` is an IP address without brackets, or `localhost`; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


DEFAULT = Address("127.0.0.1", 8080)

_REACHED_AT = {"0.0.0.0": DEFAULT.host, "::": "::1"}  # noqa: S104


def parse_address(text: str) -> Address:
    """`HOST:PORT`, with an IPv6 address in brackets. Raises `ValueError` for anything else."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("write an IPv6 address in brackets, as in [::1]:8080")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError(f"'{text}' is not HOST:PORT, as in {DEFAULT}")
    return Address(host, int(port))


def is_loopback(address: Address) -> bool:
    """Whether only this machine can reach it. Raises `OSError` where the host is no address at all."""
    host = _resolve(address)[1]
    return host.startswith("127.") or host == "::1"


def open_socket(address: Address) -> socket.socket:
    """A socket that listens on `address`; clients wait in its queue until somebody accepts. Raises `OSError`."""
    family, host = _resolve(address)
    both_families = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, address.port), family=family, backlog=BACKLOG, dualstack_ipv6=both_families)


def explain_failure(address: Address, error: OSError) -> str:
    """One line on why `address` cannot be listened on, and how to mend it."""
    if isinstance(error, socket.gaierror):
        return f"cannot listen on {address}: '{address.host}' is not an IP address (or localhost): write 127.0.0.1"
    remedy = _REMEDIES.get(error.errno or 0, f"cannot be used: {error.strerror}; try {DEFAULT}")
    return f"cannot listen: {address} {remedy}"


def url(address: Address) -> str:
    """The base URL at which this machine reaches a listener on `address`."""
    return f"http://{address._replace(host=_REACHED_AT.get(address.host, address.host))}/v1"


def _resolve(address: Address) -> tuple[socket.AddressFamily, str]:
    """The family and the canonical text of the address: `127.1` is `127.0.0.1`."""
    host = DEFAULT.host if address.host.lower() == "localhost" else address.host
    found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    family, _, _, _, place = found[0]
    return family, str(place[0])
