"""What surrounds a process: text encoding, clock, caches, hubs."""

from __future__ import annotations

import email.utils
import locale
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import serving
from onboarding.doctor.finding import Finding, error, ok, warning

HUB = "https://huggingface.co"
_SECONDS = 3.0
_WRONG, _VERY_WRONG = 60, 900
"""Seconds; signatures of object stores and tokens are refused from 5 to 15 minutes on."""


def check_surroundings(*, network: bool) -> Iterator[Finding]:
    yield check_locale()
    yield _hub_cache()
    yield _threads()
    if network:
        yield from _hub()
    else:
        yield _clock()
        yield ok("hub", f"{hub()} was not asked; --network asks it")


def hub() -> str:
    """The one that base models come from."""
    return os.environ.get("HF_ENDPOINT", HUB).rstrip("/")


def check_locale() -> Finding:
    files, screen = sys.getfilesystemencoding(), getattr(sys.stdout, "encoding", None) or "utf-8"
    found = f"text is {locale.getpreferredencoding(False)}, file names {files}, the terminal {screen}"
    if all(name.lower().replace("-", "") == "utf8" for name in (files, screen)):
        return ok("locale", found)
    return warning("locale", found, "labels and file names beyond ASCII may not be shown: export LC_ALL=C.UTF-8")


def _hub_cache() -> Finding:
    folder = hub_cache()
    models = sorted(path.name.removeprefix("models--").replace("--", "/") for path in folder.glob("models--*"))
    offline = os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on")
    found = f"{folder}: {', '.join(models[:4]) or 'no models'}{' …' if len(models) > 4 else ''}"
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not os.access(there, os.W_OK):
        return error("hub cache", f"{there} cannot be written", "set HF_HOME to a folder that can be")
    return ok("hub cache", f"{found}{'; HF_HUB_OFFLINE: nothing else is fetched' if offline else ''}")


def hub_cache() -> Path:
    """As huggingface_hub has it."""
    if path := os.environ.get("HF_HUB_CACHE"):
        return Path(path)
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return Path(home).expanduser() / "hub"


def _threads() -> Finding:
    named = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ}
    if named:
        return ok("threads", f"{', '.join(f'{name}={value}' for name, value in named.items())}: trainings keep to that")
    return ok("threads", "chosen by each training, which times some")


def _clock() -> Finding:
    """Against the newest thing that is known without a network: the files of this installation."""
    written = Path(serving.__file__).stat().st_mtime
    return compare_clock(time.time(), written) if time.time() < written else ok("clock", _now())


def compare_clock(here: float, there: float) -> Finding:
    off = abs(here - there)
    if off < _WRONG:
        return ok("clock", _now())
    found = f"{_now()}, {off / 60:.0f} minutes {'behind' if here < there else 'ahead'}"
    remedy = "set the clock: object stores and Sigstore refuse signatures of another time"
    return error("clock", found, remedy) if off > _VERY_WRONG else warning("clock", found, remedy)


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M %Z")


def _hub() -> Iterator[Finding]:
    """Whether the hub answers, and by its answer's date the clock."""
    import httpx

    place = hub()
    try:
        answer = httpx.head(place, timeout=_SECONDS, follow_redirects=False)
    except (httpx.HTTPError, OSError, ValueError) as problem:
        yield _clock()
        yield warning("hub", f"{place} does not answer ({_reason(problem)})", _WITHOUT_HUB)
        return
    date = email.utils.parsedate_tz(answer.headers.get("date", ""))
    yield compare_clock(time.time(), email.utils.mktime_tz(date)) if date else _clock()
    if answer.status_code >= 500:
        yield warning("hub", f"{place} answers with status {answer.status_code}", _WITHOUT_HUB)
    else:
        yield ok("hub", f"{place} answers")


_WITHOUT_HUB = "check proxy and firewall; without it, the default base model and folders of models can be trained"


def _reason(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]
