"""How each family of softswitch writes a call in RADIUS attributes.

A dialect is a table of the ways in which switches differ; reading and writing obey the table. A new
family is a new table here.
"""

from radiusd.dialects.dialect import Dialect, VsaForm, attribute, avpair

CISCO = Dialect(
    name="cisco",
    vsa_form=VsaForm.PREFIXED,
    call_id=(attribute("h323-conf-id"), avpair("call-id")),
    caller_ip=(attribute("h323-remote-address"), attribute("Framed-IP-Address")),
    call_origin=attribute("h323-call-origin"),
    termination_address=attribute("h323-remote-address"),
    setup_time=attribute("h323-setup-time"),
    connect_time=attribute("h323-connect-time"),
    disconnect_time=attribute("h323-disconnect-time"),
    disconnect_cause=attribute("h323-disconnect-cause"),
    disconnect_cause_base=16,
)

PLAIN = Dialect(
    name="plain",
    vsa_form=VsaForm.NONE,
    call_id=(),
    caller_ip=(attribute("Framed-IP-Address"),),
)

DIALECTS = {dialect.name: dialect for dialect in (CISCO, PLAIN)}
