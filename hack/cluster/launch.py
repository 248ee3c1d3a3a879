"""Starts one program that ends when the process that asked for it ends.

Arguments: the process id of the asker, then the program and its arguments. Leaves the program running in this
process, with the kernel's promise (`prctl PR_SET_PDEATHSIG`, Linux only) of a SIGKILL at the asker's death.
Rules: run as a file with `python -I -S`, imports nothing slow. The kernel counts the death of the *thread* that
forked, so `process` starts everything from one thread that lives as long as its interpreter.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Ask for the signal, then become the program."""
    asker, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != int(asker):
            # The asker died before the promise was made; nobody would end the program.
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  # becoming the program, without a shell, is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
