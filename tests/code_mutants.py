"""Mutation testing: does a test fail for each small change of the code that the rest relies on?

    python -m tests.code_mutants                          every mutant, and the table in docs/reliability.md
    python -m tests.code_mutants --sample 300             300 of each room, drawn with a fixed seed
    python -m tests.code_mutants serving/bundle/cpu.py    of a file or folder, and what changed in those that survive

mutmut alters a line at a time (``[tool.mutmut]`` in pyproject.toml). Its own runner starts pytest for each mutant; this
one collects the tests once, and forks: the child has one mutant, and runs the tests that reach it, fastest first, until
one fails. What was tried is kept in build/code-mutants until code or tests change. (What `tests.mutations` alters is
not the code, but a graph that the proof compares.)
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.format_utils import get_mutant_name, mangled_name_from_mutant_name

ROOT = Path(__file__).parent.parent
ROOMS = {
    "export/proof": ["tests/export/proof"],
    "serving/bundle": ["tests/serving/bundle"],
    "serving/batching": ["tests/serving/batching"],
}
"""What is altered, and the tests that shall notice."""

SEED = 0
WORK = ROOT / "build" / "code-mutants"
PAGE = ROOT / "docs" / "reliability.md"
TABLE = re.compile(r"(<!-- code mutants: python -m tests.code_mutants -->\n).*?(<!-- end -->)", re.DOTALL)
STRICT = re.compile(r",\s*(strict=\w+)?(?=\))")
"""Left out: zip's ``strict=True`` holds the code to what it says itself, and no input shows that it is gone."""

COPIED = (
    "commands",
    "export",
    "search",
    "serving",
    "trainer",
    "bench",
    "tests",
    "recipes",
    "tuneship.py",
    "pyproject.toml",
)
MADE, MUTANTS, TRIED, SHARED = "made.json", "mutants.json", "tried.jsonl", "temporary"

KILLED, SURVIVED, UNREACHED, TIMED_OUT = "killed", "survived", "unreached", "timed out"
CPU_LIMIT, CLOCK_LIMIT = (10, 5), (60, 40)
"""Seconds, and how many times the seconds of the tests: a mutant may loop for ever, or wait for ever."""


@dataclass(frozen=True)
class Result:
    """Attributes:
    mutants: how many the room has.
    outcomes: by name, of those that were tried.
    """

    room: str
    mutants: int
    outcomes: dict[str, str]

    @property
    def survivors(self) -> list[str]:
        return [name for name, outcome in self.outcomes.items() if outcome in (SURVIVED, UNREACHED)]


def try_mutants(room: str, tests: Sequence[str], within: str, sample: int | None) -> Result:
    """Those of a room that are ``within`` a file or folder of it; all, or ``sample`` of them."""
    folder = WORK / room.replace("/", "-")
    names = make_copy(folder, within)
    chosen = random.Random(SEED).sample(names, min(sample, len(names))) if sample else names
    (folder / MUTANTS).write_text(json.dumps(chosen))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTEST_XDIST_WORKER": "mutants",  # so that `tests.sharing` makes everything once for all mutants
        "PYTEST_DEBUG_TEMPROOT": str(folder / SHARED),
    }
    command = [sys.executable, "-m", "tests.code_mutants", "--inside", *tests]
    if subprocess.run(command, cwd=folder, env=environment).returncode:
        sys.exit(f"the tests of {room} do not pass without a mutant, or cannot be run: see above")
    tried = _read_tried(folder)
    return Result(room, len(names), {name: tried[name] for name in chosen if name in tried})


def make_copy(folder: Path, within: str) -> list[str]:
    """A copy of code and tests in which a path's functions have their mutants beside them; the mutants' names."""
    contents = {path: (ROOT / path).read_bytes() for path in _files()}
    made, digest = folder / MADE, hashlib.sha256(repr((within, contents)).encode()).hexdigest()
    if made.exists() and (known := json.loads(made.read_text()))["digest"] == digest:
        return known["names"]
    shutil.rmtree(folder, ignore_errors=True)
    names = []
    os.chdir(ROOT)  # where mutmut's settings are
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path.is_relative_to(within) and path.suffix == ".py":
            mutated = mutate_file_contents(str(path), content.decode())
            names += [get_mutant_name(path, name) for name in _those_that_count(mutated.code, mutated.mutant_names)]
            content = mutated.code.encode()
        (folder / path).write_bytes(content)
    (folder / SHARED).mkdir()
    made.write_text(json.dumps({"digest": digest, "names": names}))
    return names


def _those_that_count(code: str, names: Sequence[str]) -> list[str]:
    functions = {name: STRICT.sub("", "".join(lines)) for name, lines in _functions(code).items()}
    return [name for name in names if functions[name] != functions[_original(name)]]


def _functions(code: str) -> dict[str, list[str]]:
    """By name, the lines of each function and method, without the name."""
    lines = code.splitlines(keepends=True)
    nodes = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {
        node.name: [line.replace(f"def {node.name}", "def ", 1) for line in lines[node.lineno - 1 : node.end_lineno]]
        for node in nodes
    }


def _original(name: str) -> str:
    return f"{mangled_name_from_mutant_name(name)}__mutmut_orig"


def _files() -> Iterator[Path]:
    for name in COPIED:
        path = ROOT / name
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if each.is_file() and "__pycache__" not in each.parts:
                yield each.relative_to(ROOT)


def _read_tried(folder: Path) -> dict[str, str]:
    path = folder / TRIED
    return dict(json.loads(line) for line in path.read_text().splitlines()) if path.exists() else {}


class Runner:
    """A plug-in of pytest that runs the collected tests on one mutant after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fixtures: dict[str, set[str]] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        reached = self.find_reached(session.items)
        done = _read_tried(self.folder)
        names = [name for name in json.loads((self.folder / MUTANTS).read_text()) if name not in done]
        for count, name in enumerate(names, 1):
            items = [
                (seconds, item)
                for seconds, item, functions in reached
                if mangled_name_from_mutant_name(name) in functions
            ]
            items.sort(key=lambda pair: pair[0])
            outcome = try_mutant(name, items)
            with (self.folder / TRIED).open("a") as file:
                file.write(json.dumps([name, outcome]) + "\n")
            if count % 20 == 0 or outcome != KILLED:
                print(f"{count} of {len(names)}: {name} {outcome}", flush=True)
            _remove_temporary(self.folder)
        return True

    def find_reached(self, items: Sequence[pytest.Item]) -> list[tuple[float, pytest.Item, set[str]]]:
        """Of each test: its seconds, and the functions with mutants that it reaches, its fixtures' too."""
        receive, send = os.pipe()
        if (child := os.fork()) == 0:
            os.setsid()
            set_mutant_under_test("stats")
            found = [self._measure(item, following) for item, following in _in_turn(items)]
            with os.fdopen(send, "w") as pipe:
                json.dump(found, pipe)
            os._exit(0)
        os.close(send)
        with os.fdopen(receive) as pipe:
            found = json.load(pipe)
        _finish(child)
        failed = [item.nodeid for item, (passed, _, _) in zip(items, found, strict=True) if not passed]
        if failed:
            raise pytest.UsageError(f"fails without a mutant: {', '.join(failed)}")
        return [(seconds, item, set(names)) for item, (_, seconds, names) in zip(items, found, strict=True)]

    def _measure(self, item: pytest.Item, following: pytest.Item | None) -> tuple[bool, float, list[str]]:
        state()._stats.clear()
        started = time.process_time()
        reports = runtestprotocol(item, log=False, nextitem=following)
        functions = state()._stats.union(*(self.fixtures.get(name, ()) for name in getattr(item, "fixturenames", ())))
        return not any(report.failed for report in reports), time.process_time() - started, sorted(functions)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
        before = set(state()._stats)
        state()._stats.clear()
        try:
            return (yield)
        finally:
            self.fixtures.setdefault(fixturedef.argname, set()).update(state()._stats)
            state()._stats.update(before)


def try_mutant(name: str, items: Sequence[tuple[float, pytest.Item]]) -> str:
    """In a process of its own, which may not take much longer than without the mutant."""
    if not items:
        return UNREACHED
    seconds = sum(each for each, _ in items)
    if (child := os.fork()) == 0:
        os.setsid()
        cpu = round(time.process_time() + CPU_LIMIT[0] + CPU_LIMIT[1] * seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
        signal.alarm(round(CLOCK_LIMIT[0] + CLOCK_LIMIT[1] * seconds))
        set_mutant_under_test(name)
        os._exit(_run([item for _, item in items]))
    status = _finish(child)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL):
        return TIMED_OUT
    return KILLED if status else SURVIVED


def _run(items: Sequence[pytest.Item]) -> int:
    """1 where a test fails, else 0."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        for item, following in _in_turn(items):
            if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
                return 1
    except BaseException:
        return 1
    return 0


def _in_turn(items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    yield from zip(items, [*items[1:], None], strict=True)


def _finish(child: int) -> int:
    """Wait for a process, and end those that it left behind."""
    _, status = os.waitpid(child, 0)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        return status
    return status


def _remove_temporary(folder: Path) -> None:
    for path in (folder / SHARED).glob("pytest-of-*/pytest-*"):
        shutil.rmtree(path, ignore_errors=True)


def describe_mutant(room: str, name: str) -> str:
    """The lines that are altered, without and with the mutant."""
    module, _, function = name.rpartition(".")
    path = WORK / room.replace("/", "-") / Path(*module.split(".")).with_suffix(".py")
    functions = _functions(path.read_text(encoding="utf-8"))
    lines = difflib.unified_diff(functions[_original(function)], functions[function], n=0)
    changed = [line for line in lines if line[0] in "+-" and line[:3] not in ("---", "+++")]
    return "\n".join([name, *(f"    {line[0]} {line[1:].strip()}" for line in changed)])


def to_markdown(results: Sequence[Result]) -> str:
    from export.proof.statistics.paired_shares import share_interval

    lines = ["| room | mutants | tried | killed | of them by time-out | survived | share killed |", "| --- " * 7 + "|"]
    for result in results:
        tried, survived = len(result.outcomes), len(result.survivors)
        low, high = share_interval(tried - survived, tried)
        interval = "" if tried == result.mutants else f" ({100 * low:.1f} to {100 * high:.1f})"
        slow = list(result.outcomes.values()).count(TIMED_OUT)
        share = f"{100 * (tried - survived) / tried:.1f} %{interval}"
        cells = (f"`{result.room}`", result.mutants, tried, tried - survived, slow, survived, share)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="files or folders of " + ", ".join(ROOMS))
    parser.add_argument("--sample", type=int, help="try so many of each")
    parser.add_argument("--tests", nargs="+", help="instead of the room's")
    parser.add_argument("--inside", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        arguments = [*options.inside, "-q", "-m", "not slow and not docker", "--hypothesis-seed=0"]
        sys.exit(pytest.main([*arguments, "-p", "no:cacheprovider", "-s"], plugins=[Runner(Path.cwd())]))
    if wrong := [path for path in options.paths if not path.startswith(tuple(ROOMS)) or not (ROOT / path).exists()]:
        parser.error(f"{wrong[0]} is no file or folder of {', '.join(ROOMS)}")
    results = []
    for path in options.paths or ROOMS:
        room = next(room for room in ROOMS if path.startswith(room))
        results.append(try_mutants(room, options.tests or ROOMS[room], path, options.sample))
        for name in results[-1].survivors:
            print(describe_mutant(room, name))
    table = to_markdown(results)
    print(table)
    if not options.paths:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(TABLE.sub(lambda found: found[1] + table + found[2], page), encoding="utf-8")


if __name__ == "__main__":
    main()
