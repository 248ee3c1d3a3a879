"""Writes the csr room's test vectors: `python -m hack.vectors`.

What enters is the table of cases in `cases`, one deviation from a valid request each; what leaves are the
files under `tests/vectors/csr`. Rules: keys are fixed and checked in, signatures deterministic where the
algorithm allows it, and a file that exists is only rewritten on demand, so that a diff shows what changed.
"""
