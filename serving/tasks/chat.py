"""A conversation as a prompt, by data: what a chat template writes around the contents of messages.

Nothing of a template is executed here. The trainer reads these pieces from the tokenizer's template and has checked
that both render alike (`trainer.tasks.chat_format`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.errors import InputError, quote

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    role: Role
    content: str


class Piece(BaseModel):
    """What is between two contents."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    after: Role | None = Field(description="the role of the message before it; null: the beginning")
    before: Role | None = Field(description="the role of the message behind it; null: the answer")
    text: str


class ChatFormat(BaseModel):
    """Which roles may follow each other, and what is written between them."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    pieces: list[Piece]
    stripped: list[Role] = Field(default=[], description="whose contents lose white space at both ends")
    special: list[str] = Field(
        default=[], description="texts of contents that the template would not write as they are"
    )

    def render(self, messages: Sequence[Message], field: str = "messages") -> str:
        """The prompt of the next answer; raises InputError for messages that the template does not take."""
        texts = {(piece.after, piece.before): piece.text for piece in self.pieces}
        roles = [None, *(message.role for message in messages), None]
        parts = []
        for index, (after, before) in enumerate(pairwise(roles)):
            if (after, before) not in texts:
                raise InputError(
                    self._misplaced(after, before, f"{field}[{min(index, len(messages) - 1)}]"), field=field
                )
            parts.append(texts[after, before])
            if index < len(messages):
                parts.append(self._content(messages[index], f"{field}[{index}].content"))
        return "".join(parts)

    def _content(self, message: Message, field: str) -> str:
        if found := next((text for text in self.special if text in message.content), None):
            raise InputError(f"{field} has {quote(found)}, which this model's chat template reads itself", field=field)
        return message.content.strip() if message.role in self.stripped else message.content

    def _misplaced(self, after: Role | None, before: Role | None, field: str) -> str:
        if before is None:
            accepted = [piece.after for piece in self.pieces if piece.before is None]
            return f"{field} is the last message and of the role {after}; accepted last: {_names(accepted)}"
        accepted = [piece.before for piece in self.pieces if piece.after == after]
        place = f"after {with_article(after)} message" if after else "first"
        return (
            f"{field} has the role {before} {place}, which this model's chat template does not take; accepted there: "
            + (_names(accepted) or "none")
        )


def _names(roles: Sequence[Role | None]) -> str:
    return ", ".join(role for role in roles if role)


def with_article(role: Role) -> str:
    return f"{'an' if role == 'assistant' else 'a'} {role}"
