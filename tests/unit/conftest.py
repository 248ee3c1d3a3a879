"""Fixtures of the tier that needs only Python."""

from tests.unit.running import untuned

__all__ = ["untuned"]
