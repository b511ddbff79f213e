"""What the client is told around an answer."""

from __future__ import annotations

import pytest
from tests.gateway.test_waiting import Client

from feathergate.errors import UnavailableError
from feathergate.gateway.reply import respond_error


class Told(Client):
    head = b""

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        self.head = headers


@pytest.mark.parametrize(("hint_s", "told"), [(0.2, b"1"), (0.0, b"0"), (-5.0, b"0"), (1e9, b"86400")])
def test_retry_after_is_within_a_day(hint_s: float, told: bytes) -> None:
    client = Told()
    respond_error(client, UnavailableError("busy", retry_after_s=hint_s), b"")
    assert b"\r\nretry-after: %b\r\n" % told in client.head
