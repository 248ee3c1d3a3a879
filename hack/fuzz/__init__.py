"""Coverage-guided fuzzing of everything that reads what a requester may write.

`reader` is a second reader of requests, `targets` what must hold for any bytes, `corpus` the inputs that are
kept in the repository, `harness` the program that atheris runs, and `python -m hack.fuzz` starts it all.
"""
