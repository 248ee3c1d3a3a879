"""What a NodeEnrollment says, as values.

Rules: everything here is frozen and already checked; a NodeEnrollment that the API server accepted
always becomes an `Enrollment`, anything else is an `errors.Malformed` from ``parse``.
"""

import enum
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType, Protocol

type_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
