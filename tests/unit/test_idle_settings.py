"""A setting that has no effect beside the others is told, with what it needs."""

from pathlib import Path

import pytest

from radiusd.config import load

NAS = '[[nas]]\nname = "gw"\ndialect = "cisco"\nsecret = "0123456789abcdef"\naddress = "192.0.2.1"\n'
TLS = '[[nas]]\nname = "gw"\ndialect = "cisco"\ncertificate = "gw.example.com"\n'


def told(directory: Path, text: str) -> list[str]:
    (directory / "radiusd.toml").write_text(text)
    return [
        f"{fault.key}: {fault.message}" for fault in load(directory).warnings if "effect" in fault.message
    ]


@pytest.mark.parametrize(
    ("text", "key", "needs"),
    [
        ("[mail]\nport = 465\n", "mail.port", "mail.host is not set"),
        ("[webhook]\ntimeout_seconds = 5\n", "webhook.timeout_seconds", "webhook.url is not set"),
        ("[radsec]\nport = 2084\n", "radsec.port", "radsec.certificate is not set"),
        (
            '[database]\nurl = "postgresql://a@db.example.com/b"\ndirectory = "x"\n',
            "database.directory",
            "database.url names a database of your own",
        ),
        (TLS, "nas.certificate", "nobody is served over TLS"),
        (f"{TLS}trusted_path = true\n", "nas.trusted_path", "a NAS without address comes over TLS only"),
        (f"{NAS}limit_proxy_state = false\n", "nas.limit_proxy_state", "all requests must be signed"),
    ],
)
def test_what_has_no_effect_is_told_with_what_it_needs(
    tmp_path: Path, text: str, key: str, needs: str
) -> None:
    assert any(line.startswith(f"{key}: has no effect: {needs}") for line in told(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        NAS,
        f"{NAS}require_message_authenticator = false\ntrusted_path = true\nlimit_proxy_state = false\n",
        '[mail]\nhost = "mail.example.com"\nfrom_address = "a@example.com"\nport = 25\n',
        '[database]\ndirectory = "x"\n',
    ],
)
def test_what_has_an_effect_is_not(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text) == []
