"""The house: imports go downwards, `import edgesft` and the light commands stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Set
from pathlib import Path

import pytest

from edgesft.tasks.registry import PLACES

PACKAGE = Path(__file__).parent.parent / "edgesft"

FLOORS = (
    "cli",
    "api",
    "ship",
    "report",
    "gate",
    "pipeline",
    "stages",
    "measure",
    "train",
    "tasks",
    "data",
    "store",
    "budget",
    "spec",
    "resources",
    "progress",
    "processes",
    "errors",
)
"""From the top floor to the bottom: a floor may import those after it and itself."""

OUTSIDE = ("edgesft/__init__.py", "edgesft/__main__.py")


def imports(file: Path) -> set[str]:
    """Floors of edgesft that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "edgesft" else [f"edgesft.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("edgesft.")}
    return found


FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if str(file.relative_to(PACKAGE.parent)) not in OUTSIDE]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_downwards(file: Path) -> None:
    floor = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    above = [name for name in imports(file) - {"__version__"} if FLOORS.index(name) < FLOORS.index(floor)]
    assert not above, f"{file} imports {above} from above"


def test_no_assert_for_input() -> None:
    found = [
        f"{file}:{node.lineno}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert not found


HEAVY = {"torch", "transformers", "onnxruntime", "onnx", "pandas", "matplotlib", "scipy", "sklearn", "PIL", "numpy.ma"}


OTHER_TASKS = {f"edgesft.tasks.{file}" for file, _ in PLACES.values()} - {"edgesft.tasks.text_classification"}
"""Those that a recipe for the classification of texts does not name."""


def loaded(code: str, modules: Set[str] = HEAVY) -> set[str]:
    """Which of some modules are loaded after running some code in a fresh interpreter; by default of the heavy ones."""
    probe = f"import sys\n{code}\nprint(*({modules} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_is_light() -> None:
    assert loaded("import edgesft") == set()


def test_help_is_light() -> None:
    code = "from edgesft.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert loaded(code) == set()


RECIPE = """
import contextlib, io, os, sys, tempfile
from pathlib import Path
from edgesft.cli.main import main
from tests import chain

folder = Path(tempfile.mkdtemp())
os.environ["EDGESFT_STORE"] = str(folder / "store")
recipe = str(chain.write(folder, Path(BERT)))
with contextlib.redirect_stdout(io.StringIO()):
    COMMANDS
"""


@pytest.mark.parametrize(
    "command",
    [
        'main(["validate", recipe])',
        'main(["plan", recipe])',
        'main(["init", str(folder / "my.yaml"), "--data", str(folder / "train.jsonl"), "--model", BERT])',
        'main(["schema"])',
    ],
)
def test_commands_that_only_look_are_light(command: str, bert: Path) -> None:
    assert loaded(RECIPE.replace("COMMANDS", command).replace("BERT", repr(str(bert)))) == set()


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_a_recipe_has_its_own_task_imported_alone(command: str, bert: Path) -> None:
    code = RECIPE.replace("COMMANDS", f'main(["{command}", recipe])').replace("BERT", repr(str(bert)))
    assert loaded(code, OTHER_TASKS) == set()
