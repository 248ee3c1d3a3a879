"""`python -m hack.vectors [--force]`: writes the vectors that are missing, or all of them."""

import argparse

from hack.vectors.cases import VECTORS
from hack.vectors.write import FOLDER, strangers, write


def main() -> int:
    """Write the vectors and say what changed; 1 when there are files that no case stands for."""
    parser = argparse.ArgumentParser(prog="python -m hack.vectors", description="Write the csr room's test vectors.")
    parser.add_argument("--force", action="store_true", help="write files that exist anew, where their case changed")
    changed = write(VECTORS, FOLDER, force=parser.parse_args().force)
    left = strangers(VECTORS, FOLDER)
    print(f"{len(VECTORS)} vectors, {len(changed)} written")
    for path in left:
        print(f"expected a case for every file, found none for {path}; delete the file")
    return 1 if left else 0


raise SystemExit(main())
