"""A business refusal, told once inside and translated at each door by that door's own table."""

from __future__ import annotations


class Failure(Exception):
    """A request that is understood and refused.

    `code` is a stable word that doors translate (`not-found`, `exists`, `denied`, `invalid`, `busy`, `full`,
    `unavailable`);
    `public` may be shown to a stranger; `private` is for the log only; `temporary` says that trying later may help.
    """

    def __init__(self, code: str, public: str, *, private: str = "", temporary: bool = False) -> None:
        super().__init__(public if not private else f"{public} ({private})")
        self.code = code
        self.public = public
        self.private = private
        self.temporary = temporary
