"""The softswitches, clients and rates that the tests of the daemon share."""

from radius_switch import SECRET

STRANGER = "127.0.0.9"
OTHER_SECRET = "another-secret-of-these-tests"


def nas(name: str, address: str, more: str = "", secret: str = SECRET, dialect: str = "cisco") -> str:
    """Return the settings of one softswitch."""
    who = f'name = "{name}"\naddress = "{address}"\nsecret = "{secret}"'
    # Calls of a test do not last as long as their records say.
    overrun = "" if "overrun = " in more else 'overrun = "charge"\n'
    # A machine that is busy with other tests lets questions wait.
    patience = "" if "patience_seconds" in more else "patience_seconds = 30\n"
    return f'[[nas]]\n{who}\ndialect = "{dialect}"\n{overrun}{patience}{more}\n'


UNSIGNED = "require_message_authenticator = false\ntrusted_path = true"


NASES = "".join(
    (
        nas("gw", "127.0.0.1"),
        nas("unsigned", "127.0.0.2", UNSIGNED),
        nas("lax", "127.0.0.3", f"{UNSIGNED}\nlimit_proxy_state = false"),
        nas("plain", "127.0.0.4", dialect="plain"),
        nas("codes", "127.0.0.5", "return_codes = { no_money = 12, bad_password = 1 }"),
        nas("starts", "127.0.0.6", "sends_start = true"),
        nas("rejecting", "127.0.0.7", 'on_backend_failure = "reject"'),
        nas("other", "127.0.0.8", secret=OTHER_SECRET),
    )
)

RATES = {
    "sold.csv": "code,destination,price_per_minute,setup_fee,min_volume_seconds,interval_seconds\n"
    "44,United Kingdom,0.60,0,1,1\n39,Italy,6.00,0,60,60\n",
    # A price for the call, however long it lasts: what is granted costs as much as what is used.
    "flat.csv": "code,price_per_minute,setup_fee\n44,0,1\n",
    "bought.csv": "code,destination,price_per_minute\n44,United Kingdom,0.30\n",
}

DEFINITIONS = """
[[reseller]]
name = "Full"
capacity = 0

[[rate_table]]
name = "Sold"
currency = "USD"
rates = "sold.csv"

[[rate_table]]
name = "Bought"
currency = "USD"
rates = "bought.csv"

[[rate_table]]
name = "Flat"
currency = "USD"
rates = "flat.csv"

# Alice can always pay: for tests that ask for nothing but an answer.
[[client]]
name = "Alice Telecom"
currency = "USD"
credit = "100000000"
rate_table = "Sold"
locale = "en_US"
[[client.account]]
name = "alice"
password = "secret"

[[client]]
name = "Vendor"
currency = "USD"
postpaid = true
term_rate_table = "Bought"
[[client.account]]
ip = "203.0.113.20"
orig = false
term = true

[[client]]
name = "Stopped"
status = "stop"
currency = "USD"
credit = 1
rate_table = "Sold"
[[client.account]]
name = "stopped"
password = "secret"

[[client]]
name = "Receiver"
currency = "USD"
credit = 1
rate_table = "Sold"
term_rate_table = "Bought"
[[client.account]]
name = "receiver"
password = "secret"
orig = false
term = true

[[client]]
name = "Narrow account"
currency = "USD"
credit = 1
rate_table = "Sold"
[[client.account]]
name = "narrow-account"
password = "secret"
capacity = 0

[[client]]
name = "Narrow client"
currency = "USD"
credit = 1
rate_table = "Sold"
capacity = 0
[[client.account]]
name = "narrow-client"
password = "secret"

[[client]]
name = "Narrow reseller"
currency = "USD"
credit = 1
rate_table = "Sold"
reseller = "Full"
[[client.account]]
name = "narrow-reseller"
password = "secret"

[[client]]
name = "Low balance"
currency = "USD"
credit = 1
rate_table = "Sold"
low_balance = { threshold = 5, capacity = 0 }
[[client.account]]
name = "low-balance"
password = "secret"

[[client]]
name = "Poor"
currency = "USD"
rate_table = "Sold"
[[client.account]]
name = "poor"
password = "secret"

[[client]]
name = "Small change"
currency = "USD"
credit = "1"
rate_table = "Sold"
[[client.account]]
name = "small-change"
password = "secret"

[[client]]
name = "In debt"
currency = "USD"
credit = "1"
rate_table = "Sold"
[[client.account]]
name = "in-debt"
password = "secret"
"""
"""Each of the last is refused for a reason of its own; calls to Italy cost 6 USD at least."""
