"""A study: the trials of one search, in a database that many machines may share.

The database holds JSON, numbers and text; nothing in it is executed or unpickled.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from serving.errors import InputError, UserError
from trainer.run.run import differences

DATABASE = "study.db"
SEARCH, OWNER = "search", "owner"
"""Attributes: of a study, what it searches; of a trial, the folder that it ran in."""

HEARTBEAT_SECONDS, GRACE_SECONDS, MOST_RETRIES = 30, 120, 5
_FIRST_TRIALS = 4
"""Trials before the median of the others ends one; none ends in its first epoch."""

PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "median": lambda: MedianPruner(n_startup_trials=_FIRST_TRIALS, n_warmup_steps=101),
    "hyperband": lambda: HyperbandPruner(min_resource=100, max_resource="auto"),
    "none": NopPruner,
}


class StudyLost(UserError):
    """The database of a search that was under way."""


def open_study(folder: Path, storage: str | None, search: dict[str, Any], pruner: str, seed: int) -> Study:
    """The study of ``search``, begun or gone on with; raises InputError where the folder's own is another one's."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)
    try:
        database = _open_storage(storage or f"sqlite:///{(folder / DATABASE).absolute()}")
        if storage is None:
            _require_same(folder, database, search)
        study = _create(database, search, pruner)
        trials = study.get_trials(deepcopy=False)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).splitlines()[0]
        where = f"--storage {storage}" if storage else str(folder / DATABASE)
        raise InputError(
            f"{where}: cannot be used ({reason}); give a URL of SQLAlchemy, such as sqlite:////folder/study.db or"
            " postgresql://user@host/name, with its driver installed",
            field="--storage",
        ) from None
    # The same numbers again would be the same recipes again; of several machines each needs numbers of its own.
    own = TPESampler(multivariate=True, group=True, constant_liar=True, n_startup_trials=_FIRST_TRIALS + 2,
                     seed=None if storage else seed + len(trials))  # fmt: skip
    study.sampler = own
    return study


@contextmanager
def told_database(place: str) -> Iterator[None]:
    """Raise StudyLost where the database cannot be read or written any more."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise StudyLost(
            f"{place}: the search's database cannot be used any more ({reason}); its trials that have ended are kept if"
            " it is still there. See to its disk or server, and repeat the command to go on"
        ) from error


def _open_storage(url: str) -> RDBStorage:
    sqlite = url.startswith("sqlite")
    return RDBStorage(
        url,
        engine_kwargs={"connect_args": {"timeout": 60}} if sqlite else {"pool_pre_ping": True},
        heartbeat_interval=HEARTBEAT_SECONDS,
        grace_period=GRACE_SECONDS,
        heartbeat_stale_trial_callback=retry,
    )


def retry(study: Study, trial: FrozenTrial) -> None:
    """Queue the same recipe again, with what was reported of it so far."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        RetryHeartbeatStaleTrialCallback(max_retry=MOST_RETRIES, inherit_intermediate_values=True)(study, trial)


def _create(database: RDBStorage, search: dict[str, Any], pruner: str) -> Study:
    digest = hashlib.sha256(json.dumps(search, sort_keys=True).encode()).hexdigest()
    name = f"tuneship-{search['task']}-{digest[:12]}"
    study = optuna.create_study(
        storage=database, study_name=name, direction="maximize", load_if_exists=True, pruner=PRUNERS[pruner]()
    )
    study.set_user_attr(SEARCH, search)
    return study


def _require_same(folder: Path, database: RDBStorage, search: dict[str, Any]) -> None:
    for other in database.get_all_studies():
        if changes := differences(other.user_attrs.get(SEARCH, {}), search):
            raise InputError(
                f"{folder}: holds a search of another recipe or other data ({'; '.join(changes[:3])}); give another"
                " --output",
                field="--output",
            )


def retry_interrupted(study: Study, owner: str) -> list[int]:
    """Queue the trials again that ``owner`` was running when it ended; returns their numbers.

    The caller holds the owner's folder, so that nobody runs them now. Those of other machines show no heartbeat.
    """
    running = [trial for trial in study.get_trials(states=[TrialState.RUNNING]) if trial.user_attrs.get(OWNER) == owner]
    for trial in running:
        requeue(study, trial, TrialState.FAIL)
    return [trial.number for trial in running]


def requeue(study: Study, trial: FrozenTrial, state: TrialState | None = None) -> None:
    if state is not None:
        study.tell(trial.number, state=state)
    retry(study, study.get_trials()[trial.number])


def origin(study: Study, number: int) -> int:
    """The number of the first try of a trial that was interrupted, or its own."""
    return int(study.get_trials(deepcopy=False)[number].system_attrs.get("failed_trial", number))


def ended(study: Study) -> list[FrozenTrial]:
    """The trials with a score, the best first."""
    trials = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    return sorted(trials, key=lambda trial: (-(trial.value or 0.0), trial.number))
