"""`radiusd serve | check | status | call`."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing_core.admin.command_line.arguments import CONFIG
from billing_core.admin.definitions import definitions
from billing_core.admin.definitions.definitions import Definitions
from billing_core.admin.interrupts import INTERRUPTED
from billing_core.admin.mail.mail_templates import Templates
from billing_core.admin.output import CommandError, CommandParser
from billing_core.ports import StorageDownError
from billing_core.rates_file import read_rates
from billing_core.settings import Fault, SettingsError, read
from billing_core.storage.embedded import EmbeddedServerError
from billing_core.storage.schema import SchemaError
from billing_core.visible import plain_json, visible, visible_lines
from radiusd import clock, codec, config, logs, machine
from radiusd.config import Config
from radiusd.exchange import NoAnswerError, ask
from radiusd.exposure import exposures
from radiusd.handover import Handed
from radiusd.listening import Listening
from radiusd.own_ports import own_ports
from radiusd.scratch import scratch_folder
from radiusd.servant import ServantError, become, require_program, servant
from radiusd.sockets import PortTakenError, web
from radiusd.steward import LocalSteward, Steward, StewardError, left_behind
from radiusd.tls_files import TlsError, tls_files
from radiusd.trial import TrialError, place
from radiusd.wire import Code

_EXPECTED = (
    CommandError,
    SettingsError,
    PortTakenError,
    TlsError,
    ServantError,
    StewardError,
    EmbeddedServerError,
    SchemaError,
    StorageDownError,
    NoAnswerError,
    TrialError,
    machine.MachineError,
    codec.DictionaryError,
)

_out = Console(soft_wrap=True, highlight=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False)


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status: 1 is trouble that the message explains, 130 an interrupt."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[Namespace], int] = parsed.run
    try:
        return run(parsed)
    except _EXPECTED as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _complain(sentence: str) -> None:
    _err.print(visible_lines(f"radiusd: {sentence}"), markup=False)


def _parser() -> ArgumentParser:
    common = CommandParser(add_help=False)
    common.add_argument("--config", type=Path, default=CONFIG, metavar="DIR", help=f"default: {CONFIG}")
    common.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser = CommandParser(prog="radiusd", description="RADIUS authorization and accounting.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", parents=[common], help="run the daemon")
    serve.set_defaults(run=_serve)
    check = commands.add_parser("check", parents=[common], help="check settings and definitions")
    check.set_defaults(run=_check)
    status = commands.add_parser("status", parents=[common], help="ask the daemon whether it can work")
    status.set_defaults(run=_status)
    call = commands.add_parser("call", parents=[common], help="place a test call through the wire")
    call.add_argument("--account", required=True, help="name, IP or ANI of the account that calls")
    call.add_argument("--to", required=True, metavar="NUMBER", help="the number to call")
    call.add_argument("--seconds", type=int, default=60, help="how long the call lasts; default: 60")
    call.set_defaults(run=_call)
    return parser


def _serve(arguments: Namespace) -> int:
    """Take all that may need the rights of root, give them up if there is a user to become, and serve."""
    settings = config.load(arguments.config)
    machine.check(settings)
    machine.await_clock(clock.now, _complain, lambda: clock.sleep(1.0))
    handed = Handed(settings, tls_files(settings.radsec))
    steward: Steward = (local := LocalSteward(arguments.config.resolve(), settings))
    if user := servant(settings):
        require_program(user)
        # Before there are sockets, which it must not have.
        steward = left_behind(local)
    logs.configure(settings.log.level, settings.log.format)
    listening = Listening(settings.radius, settings.radsec, own_ports(settings.nas))
    http = web(*settings.http.listen)
    if user:
        become(user)
    with scratch_folder() as folder:
        # prometheus_client looks for this when it is imported, and so do the workers.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_new(folder / "metrics"))
        from radiusd.supervisor import Supervisor

        rates = _new(folder / "rates")
        Supervisor(arguments.config, handed, rates, listening, http, steward).run()
    return 0


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _check(arguments: Namespace) -> int:
    """Read everything that `serve` would read; report every fault of every file."""
    faults: list[Fault] = []
    warnings: list[Fault] = []
    codec.standard()
    try:
        settings = config.load(arguments.config, strict=True)
    except SettingsError as error:
        faults += error.faults
    else:
        files, found = _definitions(settings)
        faults += [*found, *_rates_faults(files), *Templates(settings.mail.templates).faults()]
        exposed = exposures(read(arguments.config / config.FILE_NAME), settings, files)
        warnings += [*exposed, *settings.warnings, *_mail_warnings(settings, files)]
    if arguments.json:
        _print_json({"faults": [str(fault) for fault in faults], "warnings": [str(w) for w in warnings]})
    else:
        for warning in warnings:
            _out.print(visible_lines(f"warning: {warning}"), markup=False)
        for fault in faults:
            _out.print(visible_lines(str(fault)), markup=False)
        _out.print(f"{len(faults)} faults, {len(warnings)} warnings")
    return 1 if faults else 0


def _definitions(settings: Config) -> tuple[list[Definitions], list[Fault]]:
    """Return all definitions files that can be read, and the faults of the others."""
    files: list[Definitions] = []
    faults: list[Fault] = []
    for file in settings.billing.apply_on_start:
        try:
            files.append(definitions.load(file))
        except SettingsError as error:
            faults += error.faults
    return files, faults


def _rates_faults(files: list[Definitions]) -> Iterator[Fault]:
    """Yield the faults of the rates files that are named."""
    for rates in (table.rates for file in files for table in file.rate_tables if table.rates is not None):
        try:
            deque(read_rates(rates), maxlen=0)
        except SettingsError as error:
            yield from error.faults


def _mail_warnings(settings: Config, files: list[Definitions]) -> Iterator[Fault]:
    """Yield the first client of each file who is to get mails that nobody sends."""
    for file in files if settings.mail.host is None else ():
        for number, client in enumerate(file.clients):
            if client.low_balance is not None and client.low_balance.notify_client is not None:
                path = ("client", number, "low_balance", "notify_client")
                yield file.document.fault(path, "radiusd.toml has no mail.host, so these mails wait")
                break


def _status(arguments: Namespace) -> int:
    """Ping both ports with a Status-Server (RFC 5997)."""
    settings = config.load(arguments.config)
    nas = settings.nas.find("127.0.0.1")
    if nas is None:
        raise TrialError('no [[nas]] of radiusd.toml has the address "127.0.0.1", from which we ask')
    milliseconds: dict[str, float] = {}
    for service, port in (
        ("authentication", settings.radius.auth_port),
        ("accounting", settings.radius.acct_port),
    ):
        began = clock.monotonic_seconds()
        ask(("127.0.0.1", port), Code.STATUS_SERVER, b"", nas.secret)
        milliseconds[service] = round((clock.monotonic_seconds() - began) * 1000, 3)
    if arguments.json:
        _print_json({"alive": True, "milliseconds": milliseconds})
    else:
        for service, taken in milliseconds.items():
            _out.print(f"{service}: alive, answered in {taken} ms")
    return 0


def _call(arguments: Namespace) -> int:
    trial = place(config.load(arguments.config), arguments.account, arguments.to, arguments.seconds)
    if arguments.json:
        _print_json(asdict(trial))
        return 0 if trial.accepted else 1
    table = Table(show_header=False, title="Test call")
    for name, value in asdict(trial).items():
        if value is not None:
            table.add_row(Text(name.replace("_", " ")), Text(visible(str(value))))
    _out.print(table)
    if trial.accepted:
        cost = f"cost {trial.amount} {trial.currency}" if trial.amount is not None else "was not charged yet"
        _out.print(f"accepted for {trial.credit_time_seconds} s; {trial.seconds} s {cost}", markup=False)
    else:
        _out.print(visible(f"rejected with code {trial.return_code}: {trial.message}"), markup=False)
    return 0 if trial.accepted else 1


def _print_json(document: object) -> None:
    sys.stdout.write(plain_json(json.dumps(document, indent=2)) + "\n")
