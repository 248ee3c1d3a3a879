"""The rules, one file a group of stages; ``decide`` joins their tables into one.

Every rule is a row: its stage, its reason, what its fault leads to, the law it stands for, where that
law comes from, and the function that judges it. A rule function takes a `Case` and returns an `Outcome`.
"""
