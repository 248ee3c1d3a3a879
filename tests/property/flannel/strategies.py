"""Network configs as Hypothesis draws them: right ones, odd ones, and texts that were bent.

Rules: what is drawn is text as it could stand in etcd; nothing is judged here. The odd values are those
where Go and Python, or two releases of flannel, could differ.
"""

from hypothesis import strategies as st

NETWORKS = (
    "172.30.0.0/16", "10.0.0.0/8", "172.30.5.7/16", "0.0.0.0/0", "255.255.0.0/16", "172.30.0.0/22", "172.30.0.0/23",
    "172.30.0.0/24", "172.30.0.0/27", "172.30.0.0/28", "172.30.0.0/29", "1.2.3.4/32", "128.0.0.0/1", "fc00::/48",
    "::ffff:10.0.0.0/104", "::ffff:10.0.0.0/90", "172.030.0.0/16", " 10.0.0.0/8", "10.0.0.0/08", "10.0.0.0/",
    "10.0.0.0/+8", "10.0.0.0/33", "10.0.0.0\\/8", "fe80::1%eth0/64", "", "10.0.0.0", "10.0.0.0/16777216000000",
)  # fmt: skip
NETWORKS6 = (
    "fc00::/48", "fc00::/62", "fc00::/63", "fc00::/124", "fc00::/125", "::/0", "::/8", "FC00:0:0::/48", "fc00::1/48",
    "ffff::/16", "fc00:::/48", "fc00::/129", "1:2:3:4:5:6:7::/64", "1:2:3:4:5:6:7:8::/64", "fc00::1.2.3.4/64",
    "fc00::00001/48", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/1",
)  # fmt: skip
_NONE = "0.0.0.0"  # noqa: S104 - to flannel it is a bound that is not given
BOUNDS = (
    "172.30.1.0", "172.30.5.1", "172.31.0.0", _NONE, "", "10.1.0.0", "255.255.255.0", "::ffff:172.30.1.0", "fc00::",
    "1.2.3", "172.30.0.0", "172.30.255.255",
)  # fmt: skip
BOUNDS6 = ("fc00:0:0:1::", "fc01::", "::", "fc00::", "10.0.0.1", "fc00::4", "", _NONE, "ffff::", "x")
LENGTHS = (
    "0", "1", "16", "18", "24", "25", "26", "27", "30", "31", "32", "33", "64", "126", "127", "-1", "-0", "1.0", "1e1",
    '"24"', "null", "true", "18446744073709551615", "18446744073709551616", "[]", "{}", "01", "00",
)  # fmt: skip
FLAGS = ("true", "false", "null", '"true"', "1")
BACKENDS = (
    '{"Type":"vxlan"}', '{"type":"UDP"}', "{}", "null", '"x"', "[]", "3", '{"Type":null}', '{"Type":1}',
    '{"Type":"a","type":"host-gw"}', '{"Type":{"a":[1,2,{}]}}', '{"Type":[]}', '{"Type":"vxlan","VNI":"1"}',
)  # fmt: skip
_STRINGS = {
    "Network": NETWORKS, "IPv6Network": NETWORKS6, "SubnetMin": BOUNDS, "SubnetMax": BOUNDS, "IPv6SubnetMin": BOUNDS6,
    "IPv6SubnetMax": BOUNDS6,
}  # fmt: skip
_RAW = {
    "SubnetLen": LENGTHS, "IPv6SubnetLen": LENGTHS, "EnableIPv4": FLAGS, "EnableIPv6": FLAGS, "EnableNFTables": FLAGS,
    "Backend": BACKENDS, "Extra": LENGTHS,
}  # fmt: skip
_BENDS = tuple(b'{}[]",:\\u0019aeEtfnl.-+ \t\n\x00\x1f\x7f\xff\xc3\xa9\xed\xa0\x80')


def _keys(name: str) -> st.SearchStrategy[str]:
    """Draw a member's name as it could be written."""
    odd = (name.lower(), name.upper(), name.replace("S", "\u017f", 1), name.replace("e", "\\u0065", 1), name + "s")
    return st.sampled_from((*(name,) * 6, *odd))


def _members() -> st.SearchStrategy[tuple[str, str]]:
    strings = [
        st.tuples(_keys(name), st.sampled_from(values).map(lambda value: f'"{value}"') | st.sampled_from(FLAGS))
        for name, values in _STRINGS.items()
    ]
    return st.one_of(*strings, *(st.tuples(_keys(name), st.sampled_from(values)) for name, values in _RAW.items()))


def _text(members: list[tuple[str, str]]) -> bytes:
    return ("{" + ",".join(f'"{key}":{value}' for key, value in members) + "}").encode()


def configs() -> st.SearchStrategy[bytes]:
    """Draw configs: some members, half of the time with a network and sometimes IPv6 that flannel takes."""
    start = st.sampled_from(
        (
            [],
            [("Network", '"172.30.0.0/16"')],
            [("Network", '"10.0.0.0/8"'), ("EnableIPv6", "true"), ("IPv6Network", '"fc00::/48"')],
        )
    )
    return st.tuples(start, st.lists(_members(), max_size=4)).map(lambda parts: _text([*parts[0], *parts[1]]))


@st.composite
def bent_configs(draw: st.DrawFn) -> bytes:
    """Draw configs in which a byte was added, removed or changed, or which were cut off."""
    text = draw(configs())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        new = draw(st.sampled_from(_BENDS).map(lambda byte: bytes([byte])) | st.just(b""))
        text = text[:at] + new + text[at + draw(st.integers(0, 1)) :]
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text
