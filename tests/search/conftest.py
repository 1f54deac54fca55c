"""What the tests of searches share with those of trainings."""

from tests.trainer.conftest import toy  # noqa: F401 - a fixture
