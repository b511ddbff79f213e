"""The wheel's build: mypyc compiles the hot modules to one extension in C (docs/decisions/0012-compiled-hot-path.md).

Which modules those are stands in pyproject.toml, in this hook's table. `pip install .` compiles them, and their .py
stays out of the wheel; an editable install is never compiled. FEATHERGATE_PURE in the environment decides what becomes
of a wheel that cannot be compiled, for want of a compiler or because of an error:

    unset   it is pure Python, and one line says why
    0       it is not built, and an error says why
    1       it is pure Python; nothing is tried

The compiling runs in a process of its own, this file as a script, since mypyc ends its process on an error. What makes
a wheel is hatchling's work, whose interface for build hooks this follows.
"""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilderConfig

VARIABLE = "FEATHERGATE_PURE"
COMPILER = "mypy[mypyc]>=2.4,<3"
# The tree's own rules are kept by `make check`: here mypy is asked for types only.
MYPY_OPTIONS = ("--config-file=", "--ignore-missing-imports", f"--cache-dir={os.devnull}")
PACKAGE = "feathergate"
LIBRARY = f"{PACKAGE}__mypyc"
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
# How a line of a traceback names a module that is compiled.
IN_COMPILED = f'  File "{PACKAGE}/'
# As fast as mypyc's own -O3, for 2.0 MB in place of 2.9 and 17 s of compiling in place of 30 (decision 0012). mypyc
# asks for -Werror, which is for those who make it: a new compiler's warning is no reason for a slow gateway.
OPTIMISATION = "1"
COMPILE_OPTIONS = (
    "-fcrossjumping",
    "-fvisibility=hidden",
    "-ffunction-sections",
    "-fno-asynchronous-unwind-tables",
    "-Wno-error",
)
LINK_OPTIONS = {"linux": ("-Wl,--strip-all", "-Wl,--gc-sections")}
# Beside the library each module has a shim of 300 bytes of code, by which it is imported: one block of the disk, not
# four, where sections are not spread over pages and the start-up code, which C has no use for, is left out.
SHIM_LINK_OPTIONS = {"linux": ("-Wl,-z,noseparate-code", "-Wl,-z,norelro", "-nostartfiles")}


class CompilingHook(BuildHookInterface[WheelBuilderConfig]):
    """`modules` in its table are paths below src/feathergate."""

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling: the runtime's dependencies too, for their types."""
        return [] if find_obstacle() else [COMPILER, *self.metadata.core.dependencies]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        self._build = tempfile.TemporaryDirectory(prefix="feathergate-")
        build = Path(self._build.name)
        modules = [f"{PACKAGE}/{module}" for module in self.config["modules"]]
        failure = find_obstacle() or run_compiler(modules, Path(self.root, "src"), build)
        if failure is None:
            build_data["pure_python"], build_data["infer_tag"] = False, True
            build_data["force_include"] |= list_library(build)
            # Nobody would import them, and with their .pyc they take as much of the disk as half of the library.
            self.build_config.target_config["exclude"] = [f"/src/{module}" for module in modules]
        elif os.environ.get(VARIABLE) == "0":
            self.app.abort(f"feathergate cannot be compiled: {failure}\n{VARIABLE}=1 builds it as pure Python.")
        else:
            self.app.display_warning(f"feathergate is built as pure Python, which is slower: {failure}")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self._build.cleanup()


def find_obstacle() -> str | None:
    """Why there is no point in trying, or None."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    header = Path(sysconfig.get_path("include"), "Python.h")
    obstacles = {
        f"{VARIABLE}=1 asks for that": os.environ.get(VARIABLE) == "1",
        f"mypyc compiles for CPython, and this is {sys.implementation.name}": sys.implementation.name != "cpython",
        f"there is no C compiler (looked for {compiler})": shutil.which(compiler) is None,
        f"Python's headers are missing (looked for {header}; Debian: python3-dev)": not header.is_file(),
    }
    return next((obstacle for obstacle, met in obstacles.items() if met), None)


def run_compiler(modules: list[str], source: Path, build: Path) -> str | None:
    """Compile `modules`, paths below `source`, in the folder `build`. Returns what was wrong, or None."""
    command = [sys.executable, __file__, str(build), *modules]
    ended = subprocess.run(
        command, cwd=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if ended.returncode == 0:
        return None
    said = [line for line in ended.stdout.splitlines() if "error" in line.lower() or line.startswith(IN_COMPILED)]
    return "\n".join(said) or f"{ended.stdout[-2000:]} (exit code {ended.returncode})"


def list_library(build: Path) -> dict[str, str]:
    """Each file that was made, and its place in the wheel."""
    library = build / "library"
    return {str(file): str(file.relative_to(library)) for file in library.rglob(f"*{SUFFIX}")}


def compile_modules(modules: list[str], build: Path) -> None:
    """Ends the process with a message where mypy, mypyc or the C compiler find an error, or an import fails."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    extensions = mypycify(
        [*MYPY_OPTIONS, *modules],
        opt_level=OPTIMISATION,
        debug_level="0",
        group_name=PACKAGE,
        target_dir=str(build / "c"),
    )
    mend_runtime(build / "mended")
    for extension in extensions:
        extension.include_dirs.insert(0, str(build / "mended"))
        extension.extra_compile_args.extend(COMPILE_OPTIONS)
        extension.extra_link_args.extend(LINK_OPTIONS.get(sys.platform, ()))
        if extension.name != LIBRARY:
            extension.extra_link_args.extend(SHIM_LINK_OPTIONS.get(sys.platform, ()))
    command = build_ext(Distribution({"ext_modules": extensions}))
    command.build_lib, command.build_temp = str(build / "library"), str(build / "objects")
    command.parallel = os.cpu_count()
    command.ensure_finalized()
    command.run()
    import_modules(modules, build / "library")


def mend_runtime(folder: Path) -> None:
    """Put mypyc's part that slices bytes into `folder`, mended.

    mypyc 2.4 raises a SystemError for `data[start:end]` where the end lies before the start, and Python says b"".
    """
    from mypyc.build import include_dir

    text = Path(include_dir(), "bytes_ops.c").read_text()
    folder.mkdir()
    (folder / "bytes_ops.c").write_text(text.replace("= endn - startn;", "= endn < startn ? 0 : endn - startn;"))


def import_modules(modules: list[str], library: Path) -> None:
    """What mypyc does not do as Python does shows itself now, and not when a gateway is started."""
    shutil.copytree(PACKAGE, library / PACKAGE, ignore=shutil.ignore_patterns("*.so", "*.pyd"), dirs_exist_ok=True)
    sys.path.insert(0, str(library))
    for module in modules:
        name = module.removesuffix(".py").replace("/", ".")
        imported = importlib.import_module(name)
        if not str(imported.__file__).endswith(SUFFIX):
            sys.exit(f"error: {name} was compiled, and {imported.__file__} imported")


if __name__ == "__main__":
    compile_modules(sys.argv[2:], Path(sys.argv[1]))
