"""What a price depends on."""

from __future__ import annotations

from dataclasses import dataclass

from spanledger.core.usage import Provider, Speed, Tokens


@dataclass(frozen=True, slots=True)
class RatingInput:
    """What a price depends on. `region` and `inference_geo` are empty when they are not known.

    `prompt_tokens` is the length of the prompt when it is not that of the tokens, as in a sum over calls.
    """

    provider: Provider
    model: str
    at_unix_nano: int
    tokens: Tokens
    speed: Speed = Speed.STANDARD
    region: str = ""
    inference_geo: str = ""
    batch: bool = False
    prompt_tokens: int | None = None

    @property
    def prompt(self) -> int:
        """Length of the prompt, as price bands count it."""
        return self.tokens.prompt if self.prompt_tokens is None else self.prompt_tokens
