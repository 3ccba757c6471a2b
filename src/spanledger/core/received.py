"""Calls as the client's sums should hold them, and what is known of the names of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from spanledger.core.control import Counts
from spanledger.core.usage import QueryClass, Speed, Tokens


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A call that some record told of. `asked` is the model of its span, `served` that of its log, if they came.

    A call without a log whose span names an alias has the model that the alias is known for as `served`. `query_class`
    is `unknown` when the record does not say it in a word that we know.
    """

    identity: str
    end_unix_nano: int
    asked: str
    served: str
    query_class: QueryClass
    speed: Speed
    tokens: Tokens

    @property
    def counts(self) -> Counts:
        """The classes that the sums tell apart."""
        return Counts.of(self.tokens)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name asked for that is no model's, and the model that calls under it were served by."""

    asked: str
    served: str


class ModelNames(Protocol):
    """What there is to know of model names; the price book knows it."""

    def canonical(self, name: str) -> str:
        """The one spelling of all spellings of a model; of a name that is no model's, itself without decoration."""
        ...

    def known(self, name: str) -> bool:
        """Whether a name is that of a model, not a gateway's alias."""
        ...
