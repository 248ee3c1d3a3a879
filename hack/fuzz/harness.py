"""What atheris runs: `python -m hack.fuzz.harness TARGET ITSELF [options and folders, as libFuzzer takes them]`.

Rules: ITSELF is the program that starts this one, for libFuzzer to start again; the operator's modules alone are
traced; an input that breaks a promise ends the run with its bytes in a file.
"""

import sys

import atheris  # type: ignore[import-untyped]  # it publishes no types, and lives in its own environment

with atheris.instrument_imports(include=["nodegate"]):
    from hack.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz the target that the first argument names."""
    _, name, *arguments = sys.argv
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
