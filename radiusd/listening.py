"""All sockets of the daemon: for each worker one of every address and service, sharing the port."""

from collections.abc import Callable, Sequence
from socket import socket as Socket  # noqa: N812 - a class with a small letter

import structlog

from radiusd.config import Radius, Radsec
from radiusd.sockets import Listener, PortTakenError, is_unsupported, listener, probe, stream
from radiusd.wire import Port

log = structlog.get_logger()


class Listening:
    """The sockets, opened once; `*_port` are the ports in fact, where 0 was asked for.

    `streams` are the TCP sockets of each worker for RADIUS over TLS, none without a certificate.
    """

    def __init__(self, settings: Radius, radsec: Radsec, own: Sequence[tuple[int, Port]] = ()) -> None:
        """Take every port, or raise PortTakenError; an address of a kind the machine lacks is passed over.

        *own* are ports of one softswitch alone, and what is served there.
        """
        self.own = tuple(own)
        self.auth_port, self.acct_port = settings.auth_port, settings.acct_port
        self.radsec_port = radsec.port
        self.groups: list[list[Listener]] = [[] for _ in range(settings.workers)]
        self.streams: list[list[Socket]] = [[] for _ in range(settings.workers)]
        for address in settings.listen:
            _open_if_there(address, self._open)
        if not self.groups[0]:
            raise PortTakenError("can't listen on any address of radius.listen")
        for address in settings.listen if radsec.certificate else ():
            _open_if_there(address, self._open_streams)

    def _open_streams(self, address: str) -> None:
        for group in self.streams:
            opened = stream(address, self.radsec_port)
            self.radsec_port = opened.getsockname()[1]
            group.append(opened)

    def _open(self, address: str) -> None:
        self.auth_port = probe(address, self.auth_port)
        self.acct_port = probe(address, self.acct_port)
        for group in self.groups:
            group.append(listener(address, self.auth_port, Port.AUTHENTICATION))
            group.append(listener(address, self.acct_port, Port.ACCOUNTING))
        for number, service in self.own:
            probe(address, number)
            for group in self.groups:
                group.append(listener(address, number, service))


def _open_if_there(address: str, open_sockets: Callable[[str], None]) -> None:
    try:
        open_sockets(address)
    except PortTakenError as error:
        if not is_unsupported(error) or address != "::":
            raise
        log.warning("no_ipv6", reason=str(error))
