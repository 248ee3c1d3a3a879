"""Measures nodegate beside a raw client, on one API server, in one run.

What leaves is a table of ratios and figures. Absolute numbers are the machine's; ratios are ours.
Nothing here asserts a time.
"""
