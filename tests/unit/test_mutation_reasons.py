"""Mutation testing's judge: survivors with a reason pass, others fail; reasons speak of code that is there."""

import ast

import pytest

from hack.mutate.targets import BESIDE, MODULES, TESTS
from hack.mutate.verdicts import Reason, Survivor, changed, faults, read_reasons, unchecked, unneeded, unnoticed
from tests.builders import ROOT

_RESULTS = """
    nodegate.csr.decide.x__verdict__mutmut_3: survived
    nodegate.csr.decide.x_judge__mutmut_1: killed
    nodegate.csr.parse.x_parse_csr__mutmut_12: no tests
    nodegate.csr.parse.x_parse_csr__mutmut_13: timeout
    nodegate.enrollment.decide.xǁ_Readyǁawaits_node__mutmut_2: suspicious
"""
_DIFF = """# nodegate.csr.parse.x_parse_csr__mutmut_1: survived
--- nodegate/csr/parse.py
+++ nodegate/csr/parse.py
@@ -4,7 +4,8 @@
-    root = Fields(body)
+    root = Fields(
+        None)
     meta = root.child("metadata")
"""
_MUTANT = Survivor("nodegate.csr.parse.x__networks__mutmut_4", "text = None")


def _functions(module: str) -> set[str]:
    """Return the functions of a module below `operator`, methods as `Class.method`."""
    tree = ast.parse((ROOT / "operator" / module).read_text(encoding="utf-8"))
    dotted = module.removesuffix(".py").replace("/", ".")
    found = {f"{dotted}.{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef)}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    methods = [(owner.name, node) for owner in classes for node in owner.body if isinstance(node, ast.FunctionDef)]
    return found | {f"{dotted}.{owner}.{node.name}" for owner, node in methods}


def test_what_no_test_noticed_is_found() -> None:
    """Survivors, mutants without a test and doubtful ones count; killed ones and endless ones do not."""
    assert unnoticed(_RESULTS) == [
        "nodegate.csr.decide.x__verdict__mutmut_3",
        "nodegate.csr.parse.x_parse_csr__mutmut_12",
        "nodegate.enrollment.decide.xǁ_Readyǁawaits_node__mutmut_2",
    ]


def test_a_broken_off_run_is_noticed() -> None:
    """Mutants that no test was asked about are counted, so that nobody takes the rest for the whole."""
    assert unchecked(_RESULTS) == 0
    assert unchecked(f"{_RESULTS}    nodegate.csr.decide.x_judge__mutmut_2: not checked\n") == 1


def test_the_change_is_what_the_mutant_has_instead() -> None:
    """The added lines, however they are broken."""
    assert changed(_DIFF) == "root = Fields( None)"


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("nodegate.csr.parse.x_parse_csr__mutmut_1", "nodegate.csr.parse.parse_csr"),
        ("nodegate.csr.parse.x__networks__mutmut_40", "nodegate.csr.parse._networks"),
        ("nodegate.enrollment.decide.xǁ_Readyǁawaits_node__mutmut_2", "nodegate.enrollment.decide._Ready.awaits_node"),
    ],
)
def test_a_mutants_name_tells_its_function(name: str, function: str) -> None:
    """Functions, private ones, and methods."""
    assert Survivor(name, "").function == function


@pytest.mark.parametrize(
    ("reason", "accepted"),
    [
        (Reason("nodegate.csr.parse._networks", "text = None", "why"), True),
        (Reason("nodegate.csr.parse._networks", "text = 1", "why"), False),
        (Reason("nodegate.csr.parse._address", "text = None", "why"), False),
    ],
)
def test_a_reason_is_for_one_change_of_one_function(reason: Reason, accepted: bool) -> None:  # noqa: FBT001 - a parameter
    """Another function's or another change's reason helps nobody; what helps nobody is told."""
    assert (faults([_MUTANT], [reason]) == []) is accepted
    assert (unneeded([_MUTANT], [reason]) == []) is accepted


def test_a_fault_says_what_to_do() -> None:
    """Name, what is expected, and the changed line."""
    (fault,) = faults([_MUTANT], [])

    assert fault.startswith(_MUTANT.name)
    assert "expected a test that fails or a reason" in fault
    assert fault.endswith("text = None")


def test_every_reason_speaks_of_a_function_that_is_there() -> None:
    """A reason for a function that was renamed or removed is to be removed as well; each says why in a sentence."""
    known = set().union(*map(_functions, MODULES))
    for reason in read_reasons():
        assert reason.function in known
        assert reason.change
        assert reason.why.endswith(".")


def test_targets_are_there() -> None:
    """Modules, tests and folders exist, so nothing is left out by a slip."""
    assert [module for module in MODULES if not (ROOT / "operator" / module).is_file()] == []
    assert [path for path in (*TESTS, *BESIDE) if not (ROOT / path).exists()] == []
