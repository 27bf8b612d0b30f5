"""The families of softswitch. What a table leaves out is as most of them do it (see `Dialect`)."""

from billing_core.session import Leg
from radiusd.dialects.dialect import (
    LEGS,
    Dialect,
    EventForm,
    EventTime,
    Language,
    Limit,
    StartMeans,
    VsaForm,
)

# Without vendor attributes IOS packs them into Acct-Session-Id; both of its records say the same call then.
CISCO = Dialect(
    name="cisco",
    call_id=("h323-conf-id", "Cisco-AVPair:call-id", "Acct-Session-Id/4"),
    session_id=("Acct-Session-Id/1", "Acct-Session-Id"),
    call_origin=("h323-call-origin", "Acct-Session-Id/5"),
    call_type=("h323-call-type", "Acct-Session-Id/6"),
    caller_ip=("h323-remote-address", "Acct-Session-Id/10", "Framed-IP-Address"),
    termination_address=("h323-remote-address", "Acct-Session-Id/10"),
    setup_time=("h323-setup-time", "Acct-Session-Id/2"),
    connect_time=("h323-connect-time", "Acct-Session-Id/7"),
    disconnect_time=("h323-disconnect-time", "Acct-Session-Id/8"),
    disconnect_cause=("h323-disconnect-cause", "Acct-Session-Id/9"),
)

PLAIN = Dialect(
    name="plain",
    dictionaries=(),
    call_id=(),
    caller_ip=("Framed-IP-Address",),
    vsa_form=VsaForm.NONE,
    limit_attributes=(Limit.SESSION_TIMEOUT,),
    language_attribute=Language.NONE,
)

# FreeSWITCH with mod_xml_radius, and whatever else was made for JeraSoft: no Acct-Session-Id, no
# User-Name, and Start when the call begins to be routed.
JERASOFT = Dialect(
    name="jerasoft",
    call_id=("h323-conf-id", "Cisco-AVPair:h323-conf-id"),
    session_id=("Acct-Session-Id", "Cisco-AVPair:h323-call-id", "h323-conf-id"),
    caller_ip=("Cisco-AVPair:src-gw-ip",),
    calling=("Calling-Station-Id", "Cisco-AVPair:src-number-in"),
    called=("Called-Station-Id", "Cisco-AVPair:dst-number-in"),
    termination_address=("Cisco-AVPair:dst-gw-ip",),
    termination_called=("Cisco-AVPair:dst-number-out",),
    start_means=StartMeans.SETUP,
    vsa_form=VsaForm.BARE,
)

# MERA MVTS and Eltex SMG.
MERA = Dialect(
    name="mera",
    dictionaries=("cisco", "cisco-calling", "eltex"),
    call_id=("h323-conf-id", "Acct-Session-Id"),
    caller_ip=("Cisco-AVPair:h323-gw-address", "h323-remote-address", "Framed-IP-Address"),
    calling=("Calling-Station-Id", "Cisco-AVPair:xpgk-src-number-in"),
    called=("Called-Station-Id", "Cisco-AVPair:xpgk-dst-number-in"),
    termination_called=("Cisco-AVPair:xpgk-dst-number-out",),
    fixed_password="eltex",
    duration=("Acct-Session-Time", "Eltex-AVPair:session-time"),
    answered_has_connect_time=True,
)

# Callers choose the Call-ID, and forks share it: with both tags it names a dialog (RFC 3261 section 12). The
# callee's BYE exchanges them. Sip-* numbers in accounting are Digest-* in Access-Requests, so there the
# script sends the tags in AVPairs.
SIP_TAGS = ("Sip-From-Tag", "Sip-To-Tag", "Cisco-AVPair:from-tag", "Cisco-AVPair:to-tag")

KAMAILIO = Dialect(
    name="kamailio",
    dictionaries=("cisco", "cisco-calling", "sip-avp"),
    accounting_dictionaries=("openser",),
    call_id=("Cisco-AVPair:call-id", "Acct-Session-Id"),
    tags=SIP_TAGS,
    caller_ip=("h323-remote-address", "Framed-IP-Address", "Sip-Src-IP"),
    event_form=EventForm.TEXT,
    disconnect_cause_base=10,
    sip_method=("Sip-Method",),
    sip_response=("Sip-Response-Code",),
    limit_attributes=(Limit.SIP_AVP, Limit.CREDIT_TIME, Limit.SESSION_TIMEOUT),
    language_attribute=Language.SIP_AVP,
)

# A single Stop for the whole call, dated by its beginning.
OPENSIPS = Dialect(
    name="opensips",
    dictionaries=("cisco", "cisco-calling", "sip-avp"),
    accounting_dictionaries=("opensips",),
    call_id=("Cisco-AVPair:call-id", "Acct-Session-Id"),
    tags=SIP_TAGS,
    duration=("Sip-Call-Duration", "Acct-Session-Time"),
    event_time=EventTime.CALL_START,
    setup_time=("Sip-Call-Created",),
    disconnect_cause_base=10,
    sip_method=("Sip-Method",),
    sip_response=("Sip-Response-Code",),
    limit_attributes=(Limit.SIP_AVP, Limit.CREDIT_TIME, Limit.SESSION_TIMEOUT),
    language_attribute=Language.SIP_AVP,
)

# One Acct-Session-Id, the SIP Call-ID, for both legs and for every attempt to route. When a call was set up
# stands in all of its records, and in no question; but two may be set up within the second that it counts, so
# the number tells them apart, too: all records of a leg have the one that was asked for.
SIPPY = Dialect(
    name="sippy",
    call_id=("Cisco-AVPair:call-id", "Acct-Session-Id"),
    tags=("h323-setup-time", "Called-Station-Id"),
    attempt=("h323-setup-time",),
    fixed_password="cisco",
    trust_delay=False,
    trust_interim_duration=False,
)

AUDIOCODES = Dialect(
    name="audiocodes",
    vendors=(5003, 4923),
    call_id=("h323-conf-id", "h323-incoming-conf-id"),
    disconnect_cause_base=10,
    vsa_form=VsaForm.BARE,
    reply_vendor=5003,
)

ORACLE = Dialect(
    name="oracle",
    dictionaries=("cisco", "cisco-calling", "acme"),
    call_id=("Acme-Session-Ingress-CallId", "Acct-Session-Id"),
    tags=("h323-setup-time",),
    caller_ip=("Acme-Ingress-Remote-Addr", "h323-remote-address"),
    disconnect_cause_base=10,
    sequence=("Acme-CDR-Sequence-Number",),
)

YATE = Dialect(
    name="yate",
    vendors=(6618,),
    disconnect_cause_base=10,
    limit_attributes=(Limit.CREDIT_TIME, Limit.SESSION_TIMEOUT, Limit.IVR_DURATION),
)

# In records the origin is always "proxy"; in questions "answer" is of the endpoint that is called.
GNUGK = Dialect(
    name="gnugk",
    dictionaries=("cisco", "gnugk"),
    caller_ip=("Framed-IP-Address",),
    legs={**LEGS, "proxy": Leg.ORIGINATION},
    question_legs={"answer": Leg.TERMINATION},
)

QUINTUM = Dialect(
    name="quintum",
    vendors=(6618,),
    reply_vendor=6618,
    currency_name="h323-currency-type",
)

# mod_radius_cdr: accounting only. Its own Billusec wraps after 72 minutes, Acct-Session-Time does not.
FREESWITCH = Dialect(
    name="freeswitch",
    dictionaries=("cisco", "cisco-calling", "freeswitch"),
    call_id=("Acct-Session-Id",),
    call_origin=("Freeswitch-Direction",),
    legs={"inbound": Leg.ORIGINATION, "outbound": Leg.TERMINATION},
    caller_ip=("Framed-IP-Address",),
    calling=("Calling-Station-Id", "Freeswitch-Src", "Freeswitch-Ani"),
    called=("Called-Station-Id", "Freeswitch-Dst"),
    start_means=StartMeans.SETUP,
    setup_time=("Freeswitch-Callstartdate",),
    connect_time=("Freeswitch-Callanswerdate",),
    disconnect_time=("Freeswitch-Callenddate",),
    disconnect_cause=("Freeswitch-Hangupcause",),
    disconnect_cause_base=10,
)

# cdr_radius: one Stop for each party that a channel was connected to. Its User-Name is the name of a channel,
# never of an account.
ASTERISK = Dialect(
    name="asterisk",
    dictionaries=("cisco", "cisco-calling", "asterisk"),
    call_id=("Asterisk-Unique-ID", "Acct-Session-Id"),
    session_id=("Acct-Session-Id", "Asterisk-Unique-ID"),
    tags=("Asterisk-Chan", "Asterisk-Dst-Chan"),
    account=("Asterisk-Acc-Code",),
    calling=("Asterisk-Src", "Calling-Station-Id"),
    called=("Asterisk-Dst", "Called-Station-Id"),
    duration=("Asterisk-Bill-Sec",),
    setup_time=("Asterisk-Start-Time",),
    connect_time=("Asterisk-Answer-Time",),
    disconnect_time=("Asterisk-End-Time",),
)

FAMILIES = (
    CISCO,
    PLAIN,
    JERASOFT,
    MERA,
    KAMAILIO,
    OPENSIPS,
    SIPPY,
    AUDIOCODES,
    ORACLE,
    YATE,
    GNUGK,
    QUINTUM,
    FREESWITCH,
    ASTERISK,
)
