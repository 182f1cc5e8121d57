"""The dial plans of Sipura and Linksys SPA adapters: `(*xx|[2-7]xxS0|<9,:1>xxxxxxxxxx|1900x.!|xx.<:@gw0>)`.

Reader and writer. What an adapter does with typed keys is in `dialling`. The grammar, as the makers' handbooks give it:

    plan      =  [L:n,] [S:n,] "(" sequence *( "|" sequence ) ")"       the parentheses may be left out for a single one
    sequence  =  [Pn] *element [ "S" n | "L" n ] [ "!" ]
    element   =  key | "x" | "[" set "]" | element "."                  "." repeats what stands before, also no times
              |  "<" typed ":" sent ">"                                 typed is replaced by what is sent
              |  ","                                                    the second dial tone

`sent` may be digits, an address `user@host`, or a gateway `@gw0`, each with `;parameters`. White space means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

KEYS = "0123456789*#"
MOST_CHARACTERS = 2047  # Limit: what an adapter keeps of one plan (handbook of the SPA-3000).
LONG_TIMER, SHORT_TIMER = 10.0, 3.0
"""Seconds: the makers' defaults of Interdigit Long and Short Timer."""


class DialPlanError(ValueError):
    """What is wrong, and at which character (from 1)."""

    def __init__(self, column: int, fault: str) -> None:
        super().__init__(f"character {column}: {fault}")
        self.column = column
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Keys:
    """One key out of a set, or with `repeated` any number of them."""

    allowed: frozenset[str]
    text: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Swap:
    """`<typed:sent>`: the keys of `typed`, sent as something else; without `typed` nothing is awaited."""

    typed: tuple[Keys, ...]
    sent: str


@dataclass(frozen=True, slots=True)
class Tone:
    """`,`: the adapter plays the dial tone of an outside line."""


Element = Keys | Swap | Tone


@dataclass(frozen=True, slots=True)
class Sequence_:
    """One alternative. `pause`: seconds before it is dialled by itself; `short` and `long`: its own timers; `barred`:
    such a number is refused."""

    elements: tuple[Element, ...]
    pause: float | None = None
    short: float | None = None
    long: float | None = None
    barred: bool = False

    def __str__(self) -> str:
        front = "" if self.pause is None else f"P{self.pause:g}"
        timers = ("" if self.short is None else f"S{self.short:g}") + ("" if self.long is None else f"L{self.long:g}")
        if self.pause is None and not _typed(self.elements) and timers:
            front, timers = timers, ""  # the hot line, as the guide writes it: S0<:pbx@host>
        return front + "".join(map(_written, self.elements)) + timers + ("!" if self.barred else "")


@dataclass(frozen=True, slots=True)
class DialPlan:
    """A whole plan; `str()` writes it."""

    sequences: tuple[Sequence_, ...]
    long: float = LONG_TIMER
    short: float = SHORT_TIMER

    def __str__(self) -> str:
        long = "" if self.long == LONG_TIMER else f"L:{self.long:g},"
        short = "" if self.short == SHORT_TIMER else f"S:{self.short:g},"
        return f"{long}{short}({'|'.join(map(str, self.sequences))})"


def _typed(elements: tuple[Element, ...]) -> bool:
    return any(isinstance(each, Keys) or (isinstance(each, Swap) and each.typed) for each in elements)


def _written(element: Element) -> str:
    match element:
        case Keys(_, text, repeated):
            return text + ("." if repeated else "")
        case Swap(typed, sent):
            return f"<{''.join(map(_written, typed))}:{sent}>"
        case Tone():
            return ","


def parse(text: str) -> DialPlan:
    """Read a plan. Raises DialPlanError."""
    if len(text) > MOST_CHARACTERS:
        raise DialPlanError(MOST_CHARACTERS, f"a plan has at most {MOST_CHARACTERS} characters")
    return _Reader(text).plan()


class _Reader:
    """One pass over the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    # --- characters

    def _peek(self) -> str:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        letter = self._peek()
        self._at += 1
        return letter

    def _fail(self, fault: str, back: int = 0) -> DialPlanError:
        return DialPlanError(min(self._at + 1 - back, len(self._text) + 1), fault)

    def _number(self) -> float:
        begin = self._at
        while self._peek() and self._peek() in "0123456789.":
            self._at += 1
        digits = self._text[begin : self._at].strip()
        try:
            return min(float(digits), 3600.0)
        except ValueError:
            raise self._fail("a number of seconds belongs here") from None

    # --- the grammar

    def plan(self) -> DialPlan:
        long, short = LONG_TIMER, SHORT_TIMER
        while self._peek() in ("L", "S") and self._text[self._at + 1 : self._at + 2] == ":":
            name = self._take()
            self._at += 1
            seconds = self._number()
            if self._take() != ",":
                raise self._fail("a ',' belongs after the timer", 1)
            long, short = (seconds, short) if name == "L" else (long, seconds)
        bracket = self._peek() == "("
        if bracket:
            self._at += 1
        sequences = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            sequences.append(self._sequence())
        if bracket and self._take() != ")":
            raise self._fail("the '(' is never closed" if not self._peek() else "this does not belong here", 1)
        if self._peek():
            raise self._fail("nothing may follow the plan")
        return DialPlan(tuple(sequences), long, short)

    def _sequence(self) -> Sequence_:
        begin = self._at
        elements: list[Element] = []
        made = Sequence_(())
        while (letter := self._peek()) and letter not in "|)":
            if letter in "PSL":
                made = self._timer(made)
            elif letter == "!":
                self._at += 1
                made = replace(made, barred=True)
            elif letter == ".":
                self._repeat(elements)
            else:
                elements.append(self._element())
        if not elements:
            self._at = begin
            raise self._fail("an empty sequence")
        return replace(made, elements=tuple(elements))

    def _timer(self, made: Sequence_) -> Sequence_:
        name = self._take()
        seconds = self._number()
        match name:
            case "P":
                return replace(made, pause=seconds)
            case "S":
                return replace(made, short=seconds)
            case _:
                return replace(made, long=seconds)

    def _repeat(self, elements: list[Element]) -> None:
        last = elements[-1] if elements else None
        if not isinstance(last, Keys) or last.repeated:
            raise self._fail("a '.' repeats the key before it, and there is none")
        self._at += 1
        elements[-1] = replace(last, repeated=True)

    def _element(self) -> Element:
        letter = self._peek()
        if letter == "<":
            return self._swap()
        if letter == ",":
            self._at += 1
            return Tone()
        return self._keys()

    def _keys(self) -> Keys:
        letter = self._take()
        if letter in ("x", "X"):
            return Keys(frozenset("0123456789"), "x")
        if letter and letter in KEYS:
            return Keys(frozenset(letter), letter)
        if letter == "[":
            return self._set()
        raise self._fail(f"{letter!r} is no key" if letter else "the plan ends too early", 1)

    def _set(self) -> Keys:
        begin, allowed = self._at, set[str]()
        while (letter := self._take()) != "]":
            if letter not in KEYS or not letter:
                raise self._fail("in a set stand keys and ranges such as 2-9", 1)
            if self._peek() == "-":
                self._at += 1
                last = self._take()
                if not (letter.isdigit() and last.isdigit() and letter <= last):
                    raise self._fail("a range goes from a digit up to another", 1)
                allowed.update(str(number) for number in range(int(letter), int(last) + 1))
            else:
                allowed.add(letter)
        if not allowed:
            raise self._fail("an empty set", 1)
        inside = "".join(self._text[begin : self._at - 1].split())
        return Keys(frozenset(allowed), f"[{inside}]")

    def _swap(self) -> Swap:
        self._at += 1
        typed: list[Keys] = []
        while self._peek() not in (":", ""):
            if self._peek() == ",":  # a tone inside, as some plans write it: <9,:1>
                self._at += 1
            else:
                typed.append(self._keys())
        if not self._peek():
            raise self._fail("the '<' has no ':'")
        end = self._text.find(">", self._at)
        if end < 0:
            raise self._fail("the '<' is never closed")
        sent = self._text[self._at + 1 : end].strip()
        self._at = end + 1
        if not typed and not sent:
            raise self._fail("an empty '<:>'", 1)
        return Swap(tuple(typed), sent)
