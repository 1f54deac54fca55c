"""A cache of each test's own, and places on this machine: a hub, an S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import huggingface_hub
import pytest

from deploy.measurement.process import free_port
from stores.cache import Cache
from tests.stores.gcs import BUCKET, Gcs, running_gcs
from tests.stores.hub import TOKEN, Hub, running_hub
from tests.stores.registry import running_registry

SERVICES = {"hf": "hub", "bento": "bento_home", "oci": "registry"}
TARGETS = {"hf": "hf:team/one", "bento": "bento:one:1.0"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """An empty one, which commands of this test use."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TUNESHIP_CACHE_DIR", str(folder))
    return Cache(folder)


@pytest.fixture
def memory() -> Iterator[dict[str, object]]:
    """What is under ``memory://``, empty."""
    store = fsspec.filesystem("memory").store
    store.clear()
    yield store
    store.clear()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that this process and its children find."""
    with running_hub() as hub:
        for name, value in {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            huggingface_hub.constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        yield hub


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of moto's S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """A bucket of the test's own, as a URL."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = "b" + str(abs(hash(request.node.nodeid)))
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gcs]:
    """A Google Cloud Storage with one bucket, which asks for nobody's name."""
    import gcsfs

    gcsfs.GCSFileSystem.clear_instance_cache()
    with running_gcs() as gcs:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
        yield gcs
    gcsfs.GCSFileSystem.clear_instance_cache()


@pytest.fixture
def bento_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty store of BentoML's."""
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models.model import ModelStore

    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    models = tmp_path / "bentoml" / "models"
    models.mkdir(parents=True)
    BentoMLContainer.model_store.set(ModelStore(models))
    yield models.parent
    BentoMLContainer.model_store.reset()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Debian's docker-registry, which asks for nobody's name."""
    with running_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Gives a free target of a kind; the service behind it is started when it is asked for."""

    def target(kind: str) -> str:
        match kind:
            case "memory":
                request.getfixturevalue("memory")
                return "memory://models/one"
            case "file":
                return f"file://{tmp_path}/places/one"
            case "s3":
                return f"{request.getfixturevalue('s3')}/models/one"
            case "gs":
                request.getfixturevalue("gcs")
                return f"gs://{BUCKET}/team/one"
            case _:
                service = request.getfixturevalue(SERVICES[kind])
                return TARGETS.get(kind) or f"oci:{service}/team/one-{tmp_path.name.lower()}:1.0"

    return target
