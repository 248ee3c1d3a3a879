"""``python3 nodegate-host.pyz`` and ``python -m nodegate_host``: the command line's exit code is the process's."""

from __future__ import annotations

import sys

from nodegate_host.cli import main

if __name__ == "__main__":
    sys.exit(main())
