"""How the artefact is made: compiled, the same each time, for both processors."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from artefact import cache
from artefact.contents import OURS
from artefact.elf import HEADER
from artefact.runtime import PLATFORMS, VERSION
from tests.artefact.building import ROOT, build

FOLDERS = ("unit", "integration", "functions", "provision")
NOT_OUT_OF_IT = {
    "unit/test_annotations.py": "tests src/artefact, which is not deployed",
    "unit/test_contents.py": "as above",
    "unit/test_deferral.py": "as above",
    "unit/test_elf.py": "as above",
}
"""Of the tests in these folders, each with its reason; all others run out of the artefact."""
AT_ONCE = 2
"""Folders: their tests have margins for a machine that is busy, not for one that is crowded."""
RunningTests = dict[str, Future[subprocess.CompletedProcess[str]]]
UPLOAD_LIMIT_BYTES = 9_300_000
"""What the plain artefact weighs zipped, with botocore left out of it too."""


def files(artefact: Path) -> dict[str, str]:
    """Return each file's mode, time and digest."""
    return {
        str(path.relative_to(artefact)): f"{path.stat().st_mode:o} {path.stat().st_mtime} "
        + hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(artefact.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def out_of_it(artefact: Path, runtime_python: str) -> Iterator[RunningTests]:
    """Each folder's tests, two folders at once."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield {folder: threads.submit(_run, artefact, runtime_python, folder) for folder in FOLDERS}


def _run(artefact: Path, runtime_python: str, folder: str) -> subprocess.CompletedProcess[str]:
    left_out = [f"--ignore={ROOT / 'tests' / name}" for name in NOT_OUT_OF_IT]
    plugin = ["-p", "tests.artefact.provenance", "--artefact", str(artefact), "-p", "no:cacheprovider"]
    path = ["-o", f"pythonpath={artefact} {ROOT}"]
    plugin += os.environ["ELSEWHERE"].split()
    return subprocess.run(
        [runtime_python, "-P", "-m", "pytest", "-q", *plugin, *path, *left_out, str(ROOT / "tests" / folder)],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("folder", FOLDERS)
def test_the_tests_pass_out_of_it(out_of_it: RunningTests, folder: str, capfd: pytest.CaptureFixture[str]) -> None:
    """On the runtime's Python, every package that the artefact carries coming from the artefact."""
    done = out_of_it[folder].result()
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
    with capfd.disabled():  # what was run again is told of, too
        sys.stdout.write(f"\n{folder}:{done.stdout.partition('[100%]')[2]}")


def test_what_is_left_out_is_there_to_be_left_out() -> None:
    """No name of a test that has moved hides it."""
    assert all((ROOT / "tests" / name).exists() for name in NOT_OUT_OF_IT)


@pytest.mark.timeout(300)
def test_the_same_sources_give_the_same_bytes(artefact: Path, tmp_path: Path) -> None:
    """Built again from nothing, in another directory, each file has the same content, mode and time."""
    source = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    again = build(tmp_path / "again", source, tmp_path / "cache")
    assert files(again) == files(artefact)


@pytest.mark.timeout(300)
def test_what_our_code_begins_to_import_comes_with_all_that_it_imports(
    artefact: Path, runtime_python: str, tmp_path: Path, sdk: Path
) -> None:
    """Powertools' batch wants its parser; neither is there as long as nobody asks."""
    assert not (artefact / "aws_lambda_powertools/utilities/batch").exists()
    source, task = tmp_path / "source", tmp_path / "task"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "records" / "queue.py").write_text("from aws_lambda_powertools.utilities import batch\n")
    build(task, source, ROOT / ".cache" / "libraries")
    program = f"import sys; sys.path[:0] = ['{task}', '{sdk}']; import records.queue"
    subprocess.run([runtime_python, "-I", "-S", "-B", "-c", program], check=True)


def test_every_module_has_bytecode_that_is_never_checked(artefact: Path) -> None:
    """PEP 552's flags 0b01 and the runtime's magic number; no library's source, and of ours both."""
    compiled = list(artefact.rglob("*.pyc"))
    assert len(compiled) > 500
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\x01\x00\x00\x00"}
    assert len({path.read_bytes()[:4] for path in compiled}) == 1
    sources = {path.relative_to(artefact).parts[0] for path in artefact.rglob("*.py")}
    assert sources == set(OURS)
    for path in artefact.rglob("*.py"):
        assert (path.parent / "__pycache__" / f"{path.stem}.cpython-{VERSION.replace('.', '')}.pyc").exists()


def test_nothing_of_the_builders_machine_is_in_it(artefact: Path) -> None:
    """No file names the directory that it was built in, or the builder's home."""
    for path in artefact.rglob("*.py*"):
        content = path.read_bytes()
        for place in (ROOT, cache.directory(), Path.home()):
            assert f"{place}/".encode() not in content, path


MACHINES = {"x86_64": 62, "aarch64": 183}
"""ELF's e_machine: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html"""


def test_it_runs_on_both_processors(artefact: Path) -> None:
    """Each compiled module is there for x86_64 and arm64, so that Architecture is a parameter of the deployment.

    Each says its processor in its name, as one without, abi3.so, would be the last installed for all.
    """
    names: dict[str, set[str]] = {platform: set() for platform in PLATFORMS.values()}
    for path in artefact.rglob("*.so"):
        (platform,) = (each for each in names if f"-{each}-" in path.name)
        assert HEADER.unpack_from(path.read_bytes())[2] == MACHINES[platform], path
        names[platform].add(path.relative_to(artefact).as_posix().replace(platform, ""))
    assert names["x86_64"] == names["aarch64"]
    assert len(names["x86_64"]) > 8


def test_it_is_no_larger_than_the_plain_one(artefact: Path, tmp_path: Path) -> None:
    """Bytecode and two processors' modules weigh less, zipped, than the sources and one processor's."""
    path = tmp_path / "artefact.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in files(artefact):
            archive.write(artefact / name, name)
    assert path.stat().st_size < UPLOAD_LIMIT_BYTES


AS_SAM_RUNS_MAKE = """
import sys
from aws_lambda_builders.workflows.custom_make.make import SubProcessMake
from aws_lambda_builders.workflows.custom_make.utils import OSUtils
SubProcessMake(OSUtils()).run(["--silent", "build-RecordsFunction"], cwd=sys.argv[1])
"""
ANOTHER_PYTHON = """#!{python}
import runpy, sys
from artefact import runtime
runtime.PYTHON = (3, 0)
del sys.argv[:2]
runpy.run_module("artefact", run_name="__main__", alter_sys=True)
"""


@pytest.mark.timeout(300)
def test_another_python_builds_without_bytecode_and_says_so(
    tmp_path: Path, runtime_python: str, sam_python: str
) -> None:
    """The artefact works all the same, only slower; what SAM shows of make's words says what to do."""
    builder = tmp_path / "python"
    builder.write_text(ANOTHER_PYTHON.format(python=sys.executable))
    builder.chmod(0o755)
    kept = {cache.ROOT_VARIABLE: str(ROOT / ".cache" / "plain"), "PYTHONPATH": str(ROOT / "src")}
    environ = {**os.environ, **kept, "PYTHON": str(builder), "ARTIFACTS_DIR": str(tmp_path / "task")}
    command = [sam_python, "-c", AS_SAM_RUNS_MAKE, str(ROOT / "src")]
    built = subprocess.run(command, check=True, capture_output=True, text=True, env=environ)
    shown = built.stdout + built.stderr
    assert "no bytecode" in shown
    assert f"PYTHON=python{VERSION} sam build --no-cached" in shown
    assert not list((tmp_path / "task").rglob("*.pyc"))
    program = "import db; from aws_lambda_powertools.event_handler import AppSyncResolver"
    environ = {"PYTHONPATH": str(tmp_path / "task"), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([runtime_python, "-c", program], check=True, env=environ)


def test_the_template_asks_for_the_python_that_is_compiled_for() -> None:
    """Libraries come without sources: another runtime could not read them."""
    assert f"Runtime: python{VERSION}\n" in (ROOT / "template.yaml").read_text()
    assert f"RUNTIME := python{VERSION}\n" in (ROOT / "src/Makefile").read_text()
    assert importlib.util.find_spec("artefact")
