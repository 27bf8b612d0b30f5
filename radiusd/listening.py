"""All sockets of the daemon: for each worker one of every address and service, sharing the port."""

import structlog

from radiusd.config import Radius
from radiusd.sockets import Listener, PortTakenError, is_unsupported, listener, probe
from radiusd.wire import Port

log = structlog.get_logger()


class Listening:
    """The sockets, opened once. `auth_port` and `acct_port` are the ports in fact, where 0 was asked for."""

    def __init__(self, settings: Radius) -> None:
        """Take every port, or raise PortTakenError; an address of a kind the machine lacks is passed over."""
        self.auth_port, self.acct_port = settings.auth_port, settings.acct_port
        self.groups: list[list[Listener]] = [[] for _ in range(settings.workers)]
        for address in settings.listen:
            try:
                self._open(address)
            except PortTakenError as error:
                if not is_unsupported(error) or address != "::":
                    raise
                log.warning("no_ipv6", reason=str(error))
        if not self.groups[0]:
            raise PortTakenError("can't listen on any address of radius.listen")

    def _open(self, address: str) -> None:
        self.auth_port = probe(address, self.auth_port)
        self.acct_port = probe(address, self.acct_port)
        for group in self.groups:
            group.append(listener(address, self.auth_port, Port.AUTHENTICATION))
            group.append(listener(address, self.acct_port, Port.ACCOUNTING))
