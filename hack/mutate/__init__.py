"""Mutation testing of the decisions: `python -m hack.mutate` changes them one by one and asks the tests.

`targets` says which modules and which tests, `verdicts` judges what survived by `reasons.toml`.
"""
