"""The operator's limits on calls and silence, in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_call_seconds` caps every credit time; a longer duration than `implausible_seconds` is not billed.

    `start_timeout_seconds` releases an accepted call without Start at a NAS that sends Starts;
    `silence_margin_seconds` is the patience past the end that was granted. A Stop that tells more than the
    time since the Accept and `overrun_slack_seconds` cannot be true.
    """

    max_call_seconds: int = 7200
    implausible_seconds: int = 86_400
    start_timeout_seconds: int = 240
    silence_margin_seconds: int = 60
    overrun_slack_seconds: int = 120
