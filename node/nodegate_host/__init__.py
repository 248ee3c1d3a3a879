"""nodegate-host: one file in, a healthy node out, and a way back.

Standard library only (and PyYAML in pure Python, put into the zipapp when it is built), Python 3.9
and newer. Facts are gathered, a pure plan is made from them, and effects are data that one engine
carries out with a way back.
"""

__version__ = "0.1.0"
