"""Reading API objects: a part of a JSON body that knows its path.

What enters is JSON as the API server or a manifest gives it; what leaves are typed values, or a
`Malformed` that names the field, what was expected and what was found.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from nodegate.errors import Malformed
from nodegate.text import visible

Body = Mapping[str, Any]
"""A JSON object as decoded."""


class Fields:
    """One JSON object inside an API object; absent and null objects read as empty."""

    __slots__ = ("_body", "path")

    def __init__(self, body: Any, path: str = "") -> None:
        if body is None:
            body = {}
        if not isinstance(body, Mapping):
            raise Malformed(f"{path or 'the object'}: expected an object, found {_kind(body)}")
        self._body: Body = body
        self.path = path

    def __contains__(self, key: str) -> bool:
        """Tell whether the field is there and not null."""
        return self._body.get(key) is not None

    def keys(self) -> tuple[str, ...]:
        """Return the names of the fields that are there."""
        return tuple(self._body)

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _read(self, key: str, kind: type | tuple[type, ...], name: str) -> Any:
        value = self._body.get(key)
        if value is None or (isinstance(value, kind) and not (isinstance(value, bool) and kind is int)):
            return value
        raise Malformed(f"{self._at(key)}: expected {name}, found {_kind(value)}")

    def child(self, key: str) -> "Fields":
        """Return the object under `key`."""
        return Fields(self._body.get(key), self._at(key))

    def children(self, key: str) -> Iterator["Fields"]:
        """Yield the objects of the list under `key`."""
        for index, item in enumerate(self._read(key, list, "a list of objects") or ()):
            yield Fields(item, f"{self._at(key)}[{index}]")

    def text(self, key: str, default: str = "") -> str:
        """Return a string, or `default` when it is absent."""
        value = self._read(key, str, "a string")
        return default if value is None else str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings, empty when it is absent."""
        values = self._read(key, list, "a list of strings") or []
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise Malformed(f"{self._at(key)}[{index}]: expected a string, found {_kind(value)}")
        return tuple(values)

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return an object of strings, such as labels, as pairs sorted by key."""
        return tuple((key, self.text(key)) for key in sorted(self.keys()))

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return a boolean, or `default` when it is absent."""
        value = self._read(key, bool, "true or false")
        return default if value is None else bool(value)

    def integer(self, key: str) -> int | None:
        """Return a whole number, or None when it is absent."""
        value = self._read(key, int, "a whole number")
        return None if value is None else int(value)

    def moment(self, key: str) -> datetime | None:
        """Return an RFC 3339 moment, aware, or None when it is absent."""
        value = self._body.get(key)
        if isinstance(value, str):
            value = _moment(value)
        if value is None or (isinstance(value, datetime) and value.tzinfo is not None):
            return value
        if isinstance(value, datetime):  # YAML reads an unquoted moment by itself, in UTC without saying so.
            return value.replace(tzinfo=UTC)
        raise Malformed(
            f"{self._at(key)}: expected an RFC 3339 moment such as 2030-01-31T12:00:00Z, found {_kind(value)}"
        )

    def addresses(self, key: str) -> frozenset[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        """Return a list of IP addresses, IPv4-mapped ones unwrapped."""
        try:
            return frozenset(parse_address(text) for text in self.texts(key))
        except ValueError as error:
            raise Malformed(f"{self._at(key)}: expected IP addresses, found {visible(str(error))}") from error


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an IP address without a zone; IPv4-mapped IPv6 becomes IPv4.

    Raises:
        ValueError: It is no such address.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError(f"{text!r} has a zone")
        return address.ipv4_mapped or address
    return address


def rfc3339(moment: datetime) -> str:
    """Return an aware moment as the API server writes it, in whole seconds of UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime | str:
    """Return the aware moment, or the text itself when it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment if moment.tzinfo is not None else text


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "the string", bool: "the truth value"}
    name = names.get(type(value), "the value")
    return name if isinstance(value, dict | list) else f"{name} {visible(repr(value))}"
