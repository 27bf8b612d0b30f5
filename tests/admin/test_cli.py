"""The command line itself: exit codes, and sentences in place of tracebacks."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from billing_command import Billing
from postgres import open_folder

from billing_core.admin.cli import command, main
from billing_core.admin.command_line import SUBCOMMANDS
from billing_core.admin.command_line.rates import MODES, PRICE_JUMP_PERCENT
from billing_core.admin.rates.rates_changes import DEFAULT_JUMP_PERCENT, Mode


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["clients"],
        ["payment", "A"],
        ["xdrs", "--since", "yesterday"],
        ["xdrs", "--since", "2026-01-01T10:00:00"],
        ["xdrs", "--limit", "-1"],
        ["rates", "import", "T", "f.csv", "--mode", "some"],
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert "usage: billing" in capsys.readouterr().err


@pytest.mark.parametrize("words", SUBCOMMANDS)
def test_every_subcommand_runs_a_function_that_exists_and_is_described_as_it_says(
    words: tuple[str, ...],
) -> None:
    subcommand = SUBCOMMANDS[words]

    described = command(subcommand.run).__doc__ or ""

    assert described.partition(".")[0] == subcommand.help


def test_the_command_line_of_rates_says_what_an_import_knows() -> None:
    assert tuple(mode.value for mode in Mode) == MODES
    assert PRICE_JUMP_PERCENT == DEFAULT_JUMP_PERCENT


def test_the_command_line_is_read_without_the_libraries_that_most_commands_need() -> None:
    program = (
        "import sys, billing_core.admin.command_line; print({'pydantic', 'sqlalchemy'} & {*sys.modules})"
    )

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout == "set()\n"


def test_showing_a_client_imports_nothing_that_only_other_commands_need(billing: Billing) -> None:
    billing.apply('[[client]]\nname = "A"\ncurrency = "EUR"\n')
    heavy = {"alembic", "mako", "openpyxl", "pygments", "rich.progress", "smtplib", "tomllib"}
    program = (
        "import sys\n"
        "from billing_core.admin.cli import main\n"
        f"assert main(['--config', {str(billing.directory)!r}, 'clients', 'show', 'A', '--json']) == 0\n"
        f"sys.exit(', '.join({heavy} & sys.modules.keys()))"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert '"name": "A"' in ended.stdout
    assert ended.stderr == "\n"


def failure(directory: Path, config: str | None, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command says with this radiusd.toml, having checked that it says nothing else."""
    if config is not None:
        (directory / "radiusd.toml").write_text(config, encoding="utf-8")

    code = main(["clients", "list", "--json", "--config", str(directory)])

    written = capsys.readouterr()
    assert (code, written.out) == (1, "")
    assert "Traceback" not in written.err
    return written.err


def test_a_missing_directory_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failure(tmp_path / "none", None, capsys) == (
        f"{tmp_path / 'none'}: no such directory; name it with --config DIR\n"
    )


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{tmp_path / 'radiusd.toml'}: cannot be read" in failure(tmp_path, None, capsys)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (
            '[database]\nurl = "mysql://db"\n',
            ':2: database.url: must be "embedded" or begin with postgresql://',
        ),
        ('[database]\nurll = "embedded"\n', ':2: database.urll: unknown key; did you mean "url"?'),
        ("database = 5\n", ":1: database: must be a table"),
        ("[database\n", ":1: not valid TOML"),
    ],
)
def test_a_faulty_configuration_is_told_by_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str, fault: str
) -> None:
    assert f"{tmp_path / 'radiusd.toml'}{fault}" in failure(tmp_path, config, capsys)


def test_a_database_that_does_not_answer_is_told_without_its_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        url = f"postgresql://billing:top-secret@127.0.0.1:{port}/billing"
        said = failure(tmp_path, f'[database]\nurl = "{url}"\n', capsys)

    assert str(port) in said
    assert "Connection refused" in said
    assert said.count("\n") == 1
    assert "top-secret" not in said


def test_a_newer_database_is_refused_with_both_versions(billing: Billing) -> None:
    known = billing.sql("SELECT version_num FROM alembic_version")[0][0]
    billing.sql("UPDATE alembic_version SET version_num = '9999'")

    result = billing("clients", "list")

    assert result.code == 1
    assert "schema version 9999" in result.err
    assert known in result.err


def test_an_argument_that_is_not_text_is_told_in_a_sentence(billing: Billing) -> None:
    result = billing("clients", "show", "caf\udce9")

    assert result.code == 1
    assert result.err.startswith("an argument is not UTF-8 text")


@pytest.mark.parametrize(
    "arguments", [["clients", "list"], ["clients", "list", "--csv"], ["export", "--json"]]
)
def test_a_full_disk_is_told_in_a_sentence(billing: Billing, arguments: list[str]) -> None:
    program = [sys.executable, "-m", "billing_core.admin.cli", "--config", str(billing.directory), *arguments]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("standard output cannot be written: No space left on device")


def test_other_tables_of_the_daemons_file_do_not_matter(billing: Billing) -> None:
    with (billing.directory / "radiusd.toml").open("a", encoding="utf-8") as config:
        config.write('[radius]\nno_such_key = 1\n[limits]\nother = "x"\n')

    assert billing("clients", "list").code == 0


def test_the_embedded_database_is_started_for_the_while(capsys: pytest.CaptureFixture[str]) -> None:
    with open_folder() as folder:
        (folder / "radiusd.toml").write_text('[database]\ndirectory = "data"\n', encoding="utf-8")
        (folder / "billing.toml").write_text('[[client]]\nname = "A"\ncurrency = "EUR"\n', encoding="utf-8")

        assert main(["--config", str(folder), "apply", str(folder / "billing.toml")]) == 0
        assert main(["--config", str(folder), "payment", "A", "5"]) == 0
        assert main(["--config", str(folder), "verify"]) == 0
        assert (folder / "data" / "data" / "PG_VERSION").exists()
        assert not list((folder / "data").rglob("postmaster.pid"))
