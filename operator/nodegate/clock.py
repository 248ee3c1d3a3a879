"""The one place that reads the clock; everything else takes the moment as a parameter."""

import datetime as dt


def now() -> dt.datetime:
    """Return the present moment, in UTC."""
    return dt.datetime.now(dt.UTC)
