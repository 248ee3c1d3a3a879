"""Which modules are mutated, and which tests have to notice; a room more is a line more in each list.

Rules: the tests are those that need only Python and are quick, because each mutant runs all that touch it.
"""

MODULES = (
    "nodegate/csr/decide.py",
    "nodegate/csr/parse.py",
    "nodegate/enrollment/decide.py",
    "nodegate/enrollment/parse.py",
)
"""What is mutated, below `operator`."""

TESTS = (
    "tests/unit/csr/test_decide.py",
    "tests/unit/csr/test_findings_said.py",
    "tests/unit/csr/test_limits.py",
    "tests/unit/csr/test_node_state.py",
    "tests/unit/csr/test_parse.py",
    "tests/unit/csr/test_parse_whole.py",
    "tests/unit/csr/test_vectors.py",
    "tests/unit/enrollment/test_conditions_said.py",
    "tests/unit/enrollment/test_decide.py",
    "tests/unit/enrollment/test_life.py",
    "tests/unit/enrollment/test_parse.py",
    "tests/unit/enrollment/test_parse_whole.py",
    "tests/unit/enrollment/test_tokens.py",
)
"""What has to notice."""

BESIDE = ("operator", "hack", "crds", "manifests", "docs")
"""Folders that the tests read, copied beside the mutants."""
