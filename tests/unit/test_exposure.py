"""Other users of the machine: what they may read or change is told, and how to end it."""

import json
from pathlib import Path
from typing import Any

import pytest

from radiusd.cli import main

GATEWAY = '[[nas]]\nname = "gw"\naddress = "192.0.2.1"\ndialect = "cisco"\n'
SECRET = 'secret = "0123456789abcdef"\n'
URL = "postgresql://user:password@db.example/billing"
MAIL = 'host = "mail.example"\nfrom_address = "a@x.example"\n'
OPEN = "[billing]\napply_on_start = []\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def write(file: Path, text: str, mode: int) -> Path:
    file.write_text(text)
    file.chmod(mode)
    return file


def warnings(folder: Path, capsys: Any) -> list[str]:
    """Return what `radiusd check` warns of, without the paths."""
    assert main(["check", "--config", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    return [warning.replace(f"{folder}/", "").replace(str(folder), "FOLDER") for warning in said["warnings"]]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"{OPEN}{GATEWAY}{SECRET}", "7: nas.secret: everyone may read this file and the secret"),
        (
            f'{OPEN}{GATEWAY}{SECRET}[database]\nurl = "{URL}"\n',
            "7: nas.secret: everyone may read this file and the 2 secrets",
        ),
        (
            f'{OPEN}[webhook]\nurl = "https://x.example"\n{SECRET}',
            "5: webhook.secret: everyone may read this file and the secret",
        ),
        (
            f'{OPEN}[mail]\n{MAIL}username = "u"\npassword = "p"\n',
            "7: mail.password: everyone may read this file and the secret",
        ),
    ],
)
def test_a_secret_that_everyone_may_read_is_told_wherever_it_stands(
    folder: Path, text: str, place: str, capsys: Any
) -> None:
    write(folder / "radiusd.toml", text, 0o644)

    told = [warning for warning in warnings(folder, capsys) if "chmod" in warning]

    assert told == [f"radiusd.toml:{place} in it; run: chmod o-rwx radiusd.toml"]


def test_a_password_of_an_account_is_a_secret(folder: Path, capsys: Any) -> None:
    write(folder / "radiusd.toml", "", 0o644)
    client = '[[client]]\nname = "A"\nstatus = "active"\ncurrency = "EUR"\n[[client.account]]\nname = "a"\n'
    write(folder / "billing.toml", f'{client}password = "secret-of-a"\n', 0o644)

    [told] = [warning for warning in warnings(folder, capsys) if "chmod" in warning]

    assert told.startswith(
        "billing.toml:7: client.account.password: everyone may read this file and the secret in it"
    )


def test_a_key_that_everyone_may_read_is_told(folder: Path, capsys: Any) -> None:
    names = "".join(f'{name} = "{name}"\n' for name in ("certificate", "key", "authorities"))
    for name in ("certificate", "key", "authorities"):
        write(folder / name, "", 0o644)
    write(folder / "radiusd.toml", f"{OPEN}[radsec]\n{names}", 0o644)

    [told] = [warning for warning in warnings(folder, capsys) if "chmod" in warning]

    assert told == "key: is a key that everyone may read; run: chmod o-rwx key"


def test_files_and_folders_that_everyone_may_change_are_told(folder: Path, capsys: Any) -> None:
    rates = folder / "rates"
    rates.mkdir()
    rates.chmod(0o777)
    write(rates / "sold.csv", "code,price_per_minute\n44,0.01\n", 0o666)
    table = '[[rate_table]]\nname = "Sold"\ncurrency = "EUR"\nrates = "rates/sold.csv"\n'
    write(folder / "billing.toml", table, 0o644)
    write(folder / "radiusd.toml", "", 0o646)
    folder.chmod(0o777)

    told = [warning for warning in warnings(folder, capsys) if "chmod" in warning]

    assert told == [
        "radiusd.toml: may be changed by everyone; run: chmod o-w radiusd.toml",
        "rates/sold.csv: may be changed by everyone; run: chmod o-w rates/sold.csv",
        "FOLDER: is a folder whose files everyone may replace; run: chmod o-w FOLDER",
        "rates: is a folder whose files everyone may replace; run: chmod o-w rates",
    ]


@pytest.mark.parametrize(("of_folder", "of_file"), [(0o755, 0o640), (0o700, 0o644), (0o770, 0o660)])
def test_what_its_owner_alone_reads_is_no_matter(
    folder: Path, of_folder: int, of_file: int, capsys: Any
) -> None:
    write(folder / "radiusd.toml", f'{OPEN}{GATEWAY}secret = "0123456789abcdef"\n', of_file)
    folder.chmod(of_folder)

    assert warnings(folder, capsys) == []
