"""Reports of progress, where somebody listens and where nobody does."""

from __future__ import annotations

from serving.observability.progress import Part, Progress, begin_step, open_part, report_to, track


class Recorder(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def begin(self, step: str, seconds: float | None = None) -> None:
        self.told.append(("begin", step, seconds))

    def expect(self, part: str, count: int, done: int = 0) -> None:
        self.told.append(("expect", part, count, done))

    def advance(self, count: int) -> None:
        self.told.append(("advance", count))

    def finish(self) -> None:
        self.told.append(("finish",))


def test_values_pass_through_a_part() -> None:
    """Each value counts by its units, once it has been used."""
    with report_to(recorder := Recorder()):
        begin_step("reading", 3.0)
        assert list(track("rows", ["a", "bcd"], 4, len)) == ["a", "bcd"]
    assert recorder.told == [
        ("begin", "reading", 3.0), ("expect", "rows", 4, 0), ("advance", 1), ("advance", 3), ("finish",),
    ]  # fmt: skip


def test_a_part_inside_another_is_silent() -> None:
    """The outer part alone says how far the work is; after it, parts are shown again."""
    with report_to(recorder := Recorder()):
        for _ in track("outer", [1], 1):
            list(track("inner", [1, 2], 2))
        with open_part("next", 5, 2):
            pass
    assert [each[1] for each in recorder.told if each[0] == "expect"] == ["outer", "next"]


def test_an_error_ends_a_part() -> None:
    """A part that was left by an error does not silence the next one."""
    with report_to(recorder := Recorder()):
        try:
            with open_part("failing", 2):
                raise ValueError
        except ValueError:
            list(track("after", [1], 1))
    assert ("expect", "after", 1, 0) in recorder.told


def test_nobody_listens() -> None:
    """Without a listener everything works, and nothing is shown."""
    begin_step("alone")
    part = Part("rows", 2)
    part.advance(1)
    part.describe("other rows")
    part.close()
    assert list(track("rows", [1], 1)) == [1]
