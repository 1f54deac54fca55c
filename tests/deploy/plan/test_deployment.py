"""Names and images that every target accepts."""

from __future__ import annotations

import pytest

from deploy.plan.deployment import check_image, check_name, name_of
from serving.errors import InputError

DIGEST = "sha256:" + 64 * "0"


@pytest.mark.parametrize(
    "image", [f"tuneship@{DIGEST}", f"localhost:5000/a/b_c@{DIGEST}", f"registry.example.com/team/support@{DIGEST}"]
)
def test_images(image: str) -> None:
    """A name with a digest, with or without a registry and its port."""
    assert check_image(image) == image


@pytest.mark.parametrize(
    "image",
    ["tuneship", "tuneship:latest", f"tuneship:1@{DIGEST}", f"tuneship@{DIGEST}0", f'"@{DIGEST}', f"a b@{DIGEST}", ""],
)
def test_images_without_a_digest(image: str) -> None:
    """Tags, and what would break a values file, are refused; the message says how to get a digest."""
    with pytest.raises(InputError, match=r"NAME@sha256:DIGEST is accepted.*docker push"):
        check_image(image)


@pytest.mark.parametrize("name", ["short", "Support", "1st-try", "a_b_c_d", "support-", 29 * "a", "", "support\nb"])
def test_bad_names(name: str) -> None:
    """What some target refuses is refused for all."""
    with pytest.raises(InputError, match="6 to 28 of a-z"):
        check_name(name)


@pytest.mark.parametrize(
    ("bundle", "name"),
    [
        ("support", "support"),
        ("Support v2.1", "support-v2-1"),
        ("2nd_try", "nd-try"),
        ("run", "tuneship-run"),
        (40 * "long-", 5 * "long-" + "lon"),
        ("日本", "tuneship"),
        ("", "tuneship"),
    ],
)
def test_names_of_bundles(bundle: str, name: str) -> None:
    """A bundle's name becomes an accepted one."""
    assert check_name(name_of(bundle)) == name
