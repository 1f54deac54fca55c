"""What the surroundings decide: the variables, Lambda's memory, and the container's CPU quota."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.batching.batch_shape import QueueLimits
from serving.errors import InputError
from serving.settings.limits import ServerLimits
from serving.settings.settings import DEFAULT_BUNDLE, ServerSettings, available_cpus


def test_defaults() -> None:
    """Without variables the bundle is the one beside the package, on the CPUs there are."""
    settings = ServerSettings.from_environment({})
    assert settings == ServerSettings(bundle=DEFAULT_BUNDLE, threads=available_cpus({}), server_limits=ServerLimits())
    assert DEFAULT_BUNDLE.name == "bundle"
    assert (DEFAULT_BUNDLE.parent / "serving").is_dir()


def test_variables() -> None:
    """Each variable decides its setting, whatever the machine."""
    settings = ServerSettings.from_environment(
        {
            "TUNESHIP_BUNDLE": "/srv/bundle",
            "TUNESHIP_THREADS": "3",
            "TUNESHIP_MAX_QUEUE": "64",
            "TUNESHIP_MAX_EXPLANATIONS": "0",
            "TUNESHIP_LOAD_SECONDS": "12.5",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        }
    )
    assert settings == ServerSettings(
        bundle=Path("/srv/bundle"),
        threads=3,
        server_limits=ServerLimits(QueueLimits(rows=64), max_explanations=0, load_seconds=12.5),
    )


def test_limits_of_a_request() -> None:
    """As large as any library takes; what is larger is refused at the start."""
    assert ServerSettings.from_environment({"TUNESHIP_MAX_INPUTS": "5000"}).limits == {"max_inputs": 5000}
    with pytest.raises(InputError, match="TUNESHIP_MAX_INPUTS is '9999999999'; a whole number from 1 to 2,147,483,647"):
        ServerSettings.from_environment({"TUNESHIP_MAX_INPUTS": "9999999999"})


def test_empty_variables() -> None:
    """An empty variable is none, as Compose and Kubernetes pass what is not set."""
    empty = {"TUNESHIP_BUNDLE": "", "TUNESHIP_THREADS": "", "TUNESHIP_MAX_QUEUE": ""}
    assert ServerSettings.from_environment(empty) == ServerSettings.from_environment({})


def test_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is that of the process unless another is given, and as it is at the call."""
    monkeypatch.setenv("TUNESHIP_MAX_QUEUE", "5")
    assert ServerSettings.from_environment().server_limits.bounds.rows == 5


@pytest.mark.parametrize("name", ["TUNESHIP_MAX_CONNECTIONS", "TUNESHIP_MAX_QUEUE"])
@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", " 2", "1e3", "²", "٣"])
def test_refused(name: str, value: str) -> None:
    """A variable that is no whole number of at least 1 is named with what was found."""
    with pytest.raises(InputError) as caught:
        ServerSettings.from_environment({name: value})
    assert str(caught.value) == f"{name} is {value!r}; a whole number of at least 1 is accepted"
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("name", "value", "most"),
    [
        ("TUNESHIP_THREADS", "1025", "1,024"),
        ("TUNESHIP_WORKERS", "100000", "1,024"),
        ("TUNESHIP_GRPC_PORT", "65536", "65,535"),
    ],
)
def test_too_many(name: str, value: str, most: str) -> None:
    """What no machine can do is refused before it is tried."""
    with pytest.raises(InputError) as caught:
        ServerSettings.from_environment({name: value})
    assert str(caught.value) == f"{name} is '{value}'; a whole number from 1 to {most} is accepted"


@pytest.mark.parametrize(
    "name", ["TUNESHIP_HEAD_SECONDS", "TUNESHIP_BODY_SECONDS", "TUNESHIP_WAIT_SECONDS", "TUNESHIP_GENERATION_SECONDS"]
)
def test_no_time_at_all(name: str) -> None:
    """No time for what every request needs would refuse them all; a drain may take none."""
    with pytest.raises(InputError, match=f"^{name} is '0'; a number of seconds above 0 is accepted$"):
        ServerSettings.from_environment({name: "0"})
    assert ServerSettings.from_environment({"TUNESHIP_DRAIN_SECONDS": "0"}).server_limits.drain_seconds == 0


@pytest.mark.parametrize("value", ["", " ", " , "])
def test_empty_keys(value: str) -> None:
    """A secret that turns out to be empty lets nobody in who should be kept out."""
    with pytest.raises(InputError, match=r"^TUNESHIP_API_KEYS is empty; it names the keys that callers must show"):
        ServerSettings.from_environment({"TUNESHIP_API_KEYS": value})
    with pytest.raises(InputError, match=r"^TUNESHIP_API_KEYS_FILE is empty"):
        ServerSettings.from_environment({"TUNESHIP_API_KEYS_FILE": ""})


@pytest.mark.parametrize("value", ["localhost:3000", "http://localhost", "*", "a b/c", "[::1", "*.example.org"])
def test_no_host(value: str) -> None:
    """What no Host header can be compared with is refused at the start, rather than every request later."""
    with pytest.raises(InputError, match=r"is no host's name; such as example\.org is one$"):
        ServerSettings.from_environment({"TUNESHIP_ALLOWED_HOSTS": value})


@pytest.mark.parametrize("value", ["example.org", "https://example.org/", "https://", "ftp://a.org", "null"])
def test_no_origin(value: str) -> None:
    """Nor is anything taken for an origin that no browser sends."""
    with pytest.raises(InputError, match=r"is no origin; such as https://example\.org is one$"):
        ServerSettings.from_environment({"TUNESHIP_CORS_ORIGINS": value})


def test_hosts_and_origins() -> None:
    """They are compared in lower case, as they are sent."""
    variables = {"TUNESHIP_ALLOWED_HOSTS": "Example.org [::1]", "TUNESHIP_CORS_ORIGINS": "https://Example.org:8443 *"}
    access_policy = ServerSettings.from_environment(variables).access_policy
    assert access_policy.allowed_hosts == ("example.org", "[::1]")
    assert access_policy.cors_origins == ("https://example.org:8443", "*")


@pytest.mark.parametrize(
    ("memory", "cpus"), [(128, 1), (512, 1), (1769, 1), (3008, 1), (3537, 1), (3538, 2), (5307, 3), (10240, 5)]
)
def test_lambda_memory(memory: int, cpus: int) -> None:
    """Inside Lambda the threads follow the memory, one per 1,769 MB and at least one, whatever the CPU count says."""
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory)}
    assert available_cpus(environment) == cpus
    assert ServerSettings.from_environment(environment).threads == cpus


def test_affinity() -> None:
    """Elsewhere there are at least one and at most as many CPUs as this process may run on."""
    assert 1 <= available_cpus({}) <= len(os.sched_getaffinity(0))


def test_required_key() -> None:
    """The key that must have signed is named by a variable; an empty one does not let unsigned bundles in."""
    assert ServerSettings.from_environment({"TUNESHIP_REQUIRE_SIGNATURE": "/keys/ours.pem"}).trusted_key == Path(
        "/keys/ours.pem"
    )
    assert ServerSettings.from_environment({}).trusted_key is None
    with pytest.raises(InputError, match="TUNESHIP_REQUIRE_SIGNATURE is empty; it takes the path of a public key"):
        ServerSettings.from_environment({"TUNESHIP_REQUIRE_SIGNATURE": ""})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("", None),
    ],
)
def test_required_date(text: str, expected: datetime | None) -> None:
    """The earliest export that is served is a day or a time, in UTC unless it names a zone."""
    environment = {"TUNESHIP_CREATED_AFTER": text, "TUNESHIP_REQUIRE_SIGNATURE": "/keys/ours.pem"}
    assert ServerSettings.from_environment(environment).created_after == expected


def test_a_date_needs_a_signature() -> None:
    """A date alone would hold back nobody; one that is none is named."""
    with pytest.raises(InputError, match="TUNESHIP_CREATED_AFTER needs TUNESHIP_REQUIRE_SIGNATURE"):
        ServerSettings.from_environment({"TUNESHIP_CREATED_AFTER": "2026-01-31"})
    with pytest.raises(InputError, match="TUNESHIP_CREATED_AFTER is 'soon'; a date is accepted, such as 2026-01-31"):
        ServerSettings.from_environment({"TUNESHIP_CREATED_AFTER": "soon"})
