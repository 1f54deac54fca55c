"""Hugging Face's hub: ``hf:owner/name[@revision]``. Its client reads HF_TOKEN, HF_ENDPOINT and others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (
    build_hf_headers,
    disable_progress_bars,
    hf_raise_for_status,
    http_stream_backoff,
    validate_repo_id,
)

from stores.errors import Missing, readable
from stores.store import require, skip
from stores.targets import Target

MAIN = "main"
_REVISION = re.compile(r"\w[\w./-]*")


@dataclass(frozen=True)
class Commit:
    """A repository at a commit."""

    target: Target
    repo: str
    sha: str

    def sizes(self) -> Mapping[str, int]:
        with readable(self.target, explain):
            tree = huggingface_hub.HfApi().list_repo_tree(self.repo, recursive=True, revision=self.sha)
            return {entry.path: entry.size for entry in tree if hasattr(entry, "size")}

    @contextmanager
    def read(self, name: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        url = huggingface_hub.hf_hub_url(self.repo, name, revision=self.sha)
        headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={start}-"}
        with readable(self.target, explain), _opened(url, headers) as response:
            yield skip(response.iter_bytes(), start if response.status_code == 200 else 0)


@contextmanager
def _opened(url: str, headers: dict[str, str]) -> Iterator[Any]:
    with http_stream_backoff("GET", url, headers=headers, follow_redirects=True) as response:
        hf_raise_for_status(response)
        yield response


@dataclass(frozen=True)
class Repository:
    """A push is one commit, on the branch that ``revision`` names."""

    target: Target
    repo: str
    revision: str
    versioned: bool = True

    def snapshot(self) -> Commit:
        with readable(self.target, explain):
            try:
                sha = huggingface_hub.HfApi().model_info(self.repo, revision=self.revision).sha
            except (RepositoryNotFoundError, RevisionNotFoundError) as error:
                raise Missing(f"{self.target}: {explain(error)}") from None
        return Commit(self.target, self.repo, sha)

    def write(self, folder: Path, names: Sequence[str], stale: Sequence[str]) -> None:
        add = [huggingface_hub.CommitOperationAdd(name, folder / name) for name in names]
        remove = [huggingface_hub.CommitOperationDelete(name) for name in stale]
        disable_progress_bars()
        with readable(self.target, explain):
            api = huggingface_hub.HfApi()
            api.create_repo(self.repo, exist_ok=True)
            if self.revision != MAIN:
                api.create_branch(self.repo, branch=self.revision, exist_ok=True)
            message = "A bundle of Tuneship"
            api.create_commit(self.repo, [*add, *remove], commit_message=message, revision=self.revision)


def open_store(target: Target) -> Repository:
    repo, mark, revision = target.name.partition("@")
    known = not mark or (_REVISION.fullmatch(revision) is not None and ".." not in revision)
    require(known and _is_repo(repo), target, "hf:OWNER/NAME, or hf:OWNER/NAME@REVISION")
    return Repository(target, repo, revision or MAIN)


def _is_repo(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name


def explain(error: Exception) -> str | None:
    """The client's own errors have several lines, and the URL of the request."""
    match error:
        case OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE=1 forbids to ask the hub; unset it"
        case GatedRepoError():
            return "the repository is gated: ask for access on its page, and set HF_TOKEN"
        case RevisionNotFoundError():
            return "the repository has no such revision; check what follows @"
        case RepositoryNotFoundError():
            return (
                "there is no such repository, or HF_TOKEN may not see it (missing, expired or revoked); check the name,"
                " or log in by hf auth login"
            )
        case RemoteEntryNotFoundError():
            raise Missing(f"there is no such file at the hub ({error.response.url.path})") from None
        case HfHubHTTPError() if error.response.status_code in (401, 403):
            return (
                f"the hub refuses with status {error.response.status_code}: HF_TOKEN is missing, expired or revoked, or"
                " may not write there"
            )
        case HfHubHTTPError():
            return f"the hub answers with status {error.response.status_code}: {error.server_message or 'no reason'}"
    if "/xet-" in str(error):  # hf-xet's errors are of no family
        return f"the hub at {huggingface_hub.constants.ENDPOINT} takes no uploads by xet; set HF_HUB_DISABLE_XET=1"
    if "httpx" in type(error).__module__:
        return f"the hub cannot be reached ({type(error).__name__}); check the network and HF_ENDPOINT"
    return None
