"""The one place that reads the clock; everything else takes the moment as a parameter."""

import datetime


def now() -> datetime.datetime:
    """Return the present moment, in UTC."""
    return datetime.datetime.now(datetime.UTC)
