"""The build: hot modules compiled, and a pure wheel where that cannot be.

How it decides is tried on a package of two modules, which is compiled within seconds; the true list is looked at in
the sources, and in FeatherGate as it is installed here.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import msgspec
import pytest
from tests.command import clean_environ, serving

ROOT = Path(__file__).parents[1]
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
MODULES: list[str] = WHEEL["hooks"]["custom"]["modules"]
PROJECT = f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "feathergate"
version = "1"
requires-python = ">=3.11"
[tool.hatch.build.targets.wheel]
packages = ["src/feathergate"]
[tool.hatch.build.targets.wheel.hooks.custom]
path = "{ROOT / "hatch_build.py"}"
modules = ["hot.py"]
"""


def name_module(path: str) -> str:
    return f"feathergate.{path.removesuffix('.py').replace('/', '.')}"


@pytest.mark.parametrize("path", MODULES)
def test_compiled_module_has_no_class_that_mypyc_would_change(path: str) -> None:
    """It drops the keywords of a class statement without a word, and with them what they ask of a struct."""
    source = ROOT / "src/feathergate" / path
    module = importlib.import_module(name_module(path))
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.ClassDef):
            where = f"{source.relative_to(ROOT)}:{node.lineno}: class {node.name}"
            assert not node.keywords, f"{where} has keywords: it belongs to a module that is not compiled"
            made = getattr(module, node.name)
            assert not issubclass(made, msgspec.Struct), f"{where} is a struct: it belongs elsewhere too"


def test_installed_gateway_is_compiled_whole_or_not_at_all() -> None:
    specs = [importlib.util.find_spec(name_module(path)) for path in MODULES]
    compiled = importlib.util.find_spec("feathergate__mypyc") is not None
    assert {spec is not None and not str(spec.origin).endswith(".py") for spec in specs} == {compiled}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package whose module `hot` is to be compiled."""
    package = tmp_path / "src/feathergate"
    package.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (package / "__init__.py").touch()
    (package / "hot.py").write_text(
        "def cut(data: bytes, start: int, end: int) -> bytes:\n    return data[start:end]\n"
    )
    return tmp_path


def build(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Build a wheel into folder/dist, with the tools of this environment."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    return subprocess.run(
        command, cwd=folder, env=clean_environ(environ), capture_output=True, text=True, timeout=60, check=False
    )


def unpack(folder: Path) -> tuple[str, set[str]]:
    """Into folder/installed; returns the tag of the only wheel there is, and the names of its modules."""
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
        return wheel.stem.split("-", 2)[2], {name for name in archive.namelist() if "dist-info" not in name}


def cut(folder: Path, *bounds: tuple[int, int]) -> list[bytes]:
    """What the unpacked package makes of b"abcdef" between each two bounds."""
    code = f"from feathergate.hot import cut; print([cut(b'abcdef', *each) for each in {bounds!r}])"
    environ = clean_environ({"PYTHONPATH": str(folder / "installed")})
    said = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    return list(ast.literal_eval(said.stdout))


@pytest.mark.slow
def test_wheel_holds_the_compiled_module_in_place_of_its_source(project: Path) -> None:
    assert build(project, FEATHERGATE_PURE="0").returncode == 0
    tag, names = unpack(project)
    assert not tag.endswith("any")
    assert {name.split(".")[0] for name in names} == {"feathergate__mypyc", "feathergate/__init__", "feathergate/hot"}
    assert "feathergate/hot.py" not in names
    bounds = [(start, end) for start in range(-8, 9) for end in range(-8, 9)]
    assert cut(project, *bounds) == [b"abcdef"[start:end] for start, end in bounds]


@pytest.mark.parametrize(
    ("environ", "reason"),
    [({"FEATHERGATE_PURE": "1"}, "FEATHERGATE_PURE=1 asks for that"), ({"CC": "nowhere"}, "no C compiler")],
)
def test_wheel_is_pure_where_nothing_can_be_compiled_and_says_why(
    project: Path, environ: dict[str, str], reason: str
) -> None:
    built = build(project, **environ)
    assert reason in built.stdout + built.stderr
    assert unpack(project) == ("py3-none-any", {"feathergate/__init__.py", "feathergate/hot.py"})
    assert cut(project, (1, 3)) == [b"bc"]


def test_failure_is_an_error_where_it_was_to_be_compiled(project: Path) -> None:
    built = build(project, FEATHERGATE_PURE="0", CC="nowhere")
    assert built.returncode != 0
    assert "no C compiler (looked for nowhere)" in built.stdout + built.stderr


@pytest.mark.slow
def test_module_that_fails_when_it_is_imported_is_told_with_file_and_line(project: Path) -> None:
    (project / "src/feathergate/hot.py").write_text("names: frozenset[str] = frozenset({'a'}) | {'b': 1}.keys()\n")
    built = build(project, FEATHERGATE_PURE="0")
    assert 'File "feathergate/hot.py", line 1' in built.stderr
    assert "TypeError: frozenset object expected; got set" in built.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("pure", "fails"), [("0", True), ("", False)])
def test_error_in_a_module_is_told_with_file_and_line(project: Path, pure: str, fails: bool) -> None:
    (project / "src/feathergate/hot.py").write_text("def double(number: int) -> int:\n    return 'two'\n")
    built = build(project, FEATHERGATE_PURE=pure)
    assert "feathergate/hot.py:2: error" in built.stdout + built.stderr
    assert (built.returncode != 0, list((project / "dist").glob("*.whl")) == []) == (fails, fails)


@pytest.mark.slow
def test_pure_wheel_of_the_gateway_serves_a_request(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=ROOT, env=clean_environ({"FEATHERGATE_PURE": "1"}), capture_output=True, check=True)
    _, names = unpack(tmp_path)
    assert {f"feathergate/{path}" for path in MODULES} <= names
    with serving(cwd=tmp_path, environ={"PYTHONPATH": str(tmp_path / "installed")}) as gateway:
        assert gateway.chat()[0] == 200
