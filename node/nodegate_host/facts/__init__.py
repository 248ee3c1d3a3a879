"""What is true on this host: gathered once, read-only, into frozen values that checks look at.

`model` says what is known, `host` is the only way to files and programs (under a root directory), the other modules
gather one topic each, and `gather` puts them together. ``None`` always means "not known here", never "no".
"""
