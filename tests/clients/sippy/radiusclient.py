"""What Sippy B2BUA calls `radiusclient -s`, and Debian has no package of: libradcli, spoken to by lines.

Reads AUTH or ACCT, then attributes as `Name="value"`, then an empty line; answers with the attributes of
the reply as `Name = 'value'`, the result (0 is accepted), and an empty line. `-f` names its settings.
"""

import ctypes
import sys

_NAS_PORT = 5060
_ERROR = -1
_TEXT_SIZE = 8192

_radcli = ctypes.CDLL("libradcli.so.4")
_pointer, _text = ctypes.c_void_p, ctypes.c_char_p
_radcli.rc_read_config.restype, _radcli.rc_read_config.argtypes = _pointer, [_text]
_radcli.rc_conf_str.restype, _radcli.rc_conf_str.argtypes = _text, [_pointer, _text]
_radcli.rc_read_dictionary.argtypes = [_pointer, _text]
_radcli.rc_avpair_parse.argtypes = [_pointer, _text, ctypes.POINTER(_pointer)]
_radcli.rc_avpair_log.restype = _text
_radcli.rc_avpair_log.argtypes = [_pointer, _pointer, _text, ctypes.c_size_t]
_radcli.rc_avpair_free.argtypes = [_pointer]
_radcli.rc_auth.argtypes = [_pointer, ctypes.c_uint32, _pointer, ctypes.POINTER(_pointer), _text]
_radcli.rc_acct.argtypes = [_pointer, ctypes.c_uint32, _pointer]


def main() -> None:
    handle = _radcli.rc_read_config(sys.argv[sys.argv.index("-f") + 1].encode())
    assert handle, "libradcli does not take its settings"
    assert _radcli.rc_read_dictionary(handle, _radcli.rc_conf_str(handle, b"dictionary")) == 0
    told: list[bytes] = []
    for line in sys.stdin.buffer:
        if line.strip():
            told.append(line.strip())
        elif told:
            answer, result = _exchange(handle, told[0], told[1:])
            sys.stdout.buffer.write(b"%s%d\n\n" % (answer, result))
            sys.stdout.buffer.flush()
            told = []


def _exchange(handle: int, kind: bytes, lines: list[bytes]) -> tuple[bytes, int]:
    """Send a request; return the attributes of the reply in words, and the result."""
    sent, received = _pointer(), _pointer()
    for line in lines:
        if _radcli.rc_avpair_parse(handle, line, ctypes.byref(sent)) != 0:
            sys.stderr.write(f"libradcli does not take {line!r}\n")
            return b"", _ERROR
    words = ctypes.create_string_buffer(_TEXT_SIZE)
    if kind == b"ACCT":
        result = _radcli.rc_acct(handle, _NAS_PORT, sent)
    else:
        result = _radcli.rc_auth(handle, _NAS_PORT, sent, ctypes.byref(received), words)
    _radcli.rc_avpair_free(sent)
    if not received:
        return b"", result
    answer = _radcli.rc_avpair_log(handle, received, words, _TEXT_SIZE) or b""
    _radcli.rc_avpair_free(received)
    return answer, result


if __name__ == "__main__":
    main()
