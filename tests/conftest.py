"""What every tier shares: a shell's background job ignores Ctrl-C, and so would all that a test starts from it."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
