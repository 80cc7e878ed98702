"""Enough of PromQL to ask what our alerts say to given series; what it cannot read, it refuses.

Counters are not extrapolated as Prometheus does it, which decides no alert: an increase is what a
series grew by between its first and its last sample in the window, and none without two samples.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
STALE_SECONDS = 300.0
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?![\w.]))|(?P<duration>\d+[smhd])|(?P<word>[a-zA-Z_]\w*)"
    r"|(?P<text>\"[^\"]*\")|(?P<sign>=~|!~|!=|>=|<=|==|[-+*/(){}\[\],=<>]))"
)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {"sum": sum, "max": max, "min": min}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}


class PromqlError(ValueError):
    """An expression that is none, or beyond what is read here."""


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: its name, labels, and samples of (seconds, value) in order."""

    name: str
    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


@dataclass(slots=True)
class _Selector:
    name: str
    matchers: list[tuple[str, str, str]]
    window: float = 0.0
    offset: float = 0.0

    def matches(self, series: Series) -> bool:
        if series.name != self.name:
            return False
        for label, sign, wanted in self.matchers:
            value = series.labels.get(label, "")
            equal = re.fullmatch(wanted, value) is not None if "~" in sign else value == wanted
            if equal == sign.startswith("!"):
                return False
        return True


def evaluate(expression: str, series: Sequence[Series], at: float) -> Vector:
    """What the expression is at that moment: values by labels; a number has no labels."""
    reader = _Reader(expression, series, at)
    found = reader.either()
    reader.end()
    return {frozenset(): found} if isinstance(found, float) else found


class _Reader:
    """Reads from the loosest operator to the tightest, and evaluates as it goes."""

    def __init__(self, expression: str, series: Sequence[Series], at: float) -> None:
        self._tokens = list(_tokens(expression))
        self._place = 0
        self._series = series
        self._at = at

    def either(self) -> Vector | float:
        left = self._both()
        while self._take("or"):
            right = self._both()
            known = _vector(left)
            left = known | {key: value for key, value in _vector(right).items() if key not in known}
        return left

    def end(self) -> None:
        if self._place != len(self._tokens):
            raise PromqlError(f"not understood from {self._tokens[self._place]!r} on")

    def _both(self) -> Vector | float:
        left = self._compared()
        while (word := self._peek()) in ("and", "unless"):
            self._place += 1
            on = self._labels() if self._take("on") else None
            there = {_only(key, on) for key in _vector(self._compared())}
            keep = word == "and"
            left = {k: v for k, v in _vector(left).items() if (_only(k, on) in there) == keep}
        return left

    def _compared(self) -> Vector | float:
        left = self._term()
        while (sign := self._peek()) in _COMPARE:
            self._place += 1
            limit = self._term()
            if not isinstance(limit, float):
                raise PromqlError("only comparisons with a number are read")
            left = {k: v for k, v in _vector(left).items() if _COMPARE[sign](v, limit)}
        return left

    def _term(self) -> Vector | float:
        token = self._next()
        if token == "(":  # noqa: S105 - a sign of the language
            inner = self.either()
            self._want(")")
            return inner
        if re.fullmatch(r"\d+(\.\d+)?", token):
            return float(token)
        if not re.fullmatch(r"[a-zA-Z_]\w*", token):
            raise PromqlError(f"{token!r} begins nothing")
        if token in _AGGREGATIONS:
            return self._aggregated(token)
        if token in ("increase", "rate", "absent", "histogram_quantile"):
            return self._called(token)
        return self._instant(self._selector(token))

    def _aggregated(self, name: str) -> Vector:
        by = self._labels() if self._take("by") else frozenset()
        self._want("(")
        groups: dict[Labels, list[float]] = {}
        for labels, value in _vector(self.either()).items():
            groups.setdefault(_only(labels, by), []).append(value)
        self._want(")")
        return {labels: float(_AGGREGATIONS[name](values)) for labels, values in groups.items()}

    def _called(self, name: str) -> Vector:
        self._want("(")
        if name == "histogram_quantile":
            share = self._term()
            self._want(",")
            found = _quantiles(float(str(share)), _vector(self.either()))
        else:
            selector = self._selector(self._next())
            if (selector.window > 0) != (name != "absent"):
                raise PromqlError(f"{name} of a window, or of none")
            found = self._absent(selector) if name == "absent" else self._grown(selector)
            if name == "rate":
                found = {labels: value / selector.window for labels, value in found.items()}
        self._want(")")
        return found

    def _selector(self, name: str) -> _Selector:
        chosen = _Selector(name, [])
        if self._take("{"):
            while not self._take("}"):
                label, sign, text = self._next(), self._next(), self._next()
                if sign not in ("=", "!=", "=~", "!~") or not text.startswith('"'):
                    raise PromqlError(f"no matcher: {label}{sign}{text}")
                chosen.matchers.append((label, sign, text.strip('"')))
                if self._peek() != "}":
                    self._want(",")
        if self._take("["):
            chosen.window = _seconds(self._next())
            self._want("]")
        if self._take("offset"):
            chosen.offset = _seconds(self._next())
        return chosen

    def _instant(self, selector: _Selector) -> Vector:
        if selector.window:
            raise PromqlError(f"a window of {selector.name} is no value")
        moment = self._at - selector.offset
        found = {}
        for each in filter(selector.matches, self._series):
            seen = [value for at, value in each.samples if moment - STALE_SECONDS < at <= moment]
            if seen:
                found[frozenset(each.labels.items())] = seen[-1]
        return found

    def _grown(self, selector: _Selector) -> Vector:
        end = self._at - selector.offset
        found = {}
        for each in filter(selector.matches, self._series):
            seen = [value for at, value in each.samples if end - selector.window <= at <= end]
            if len(seen) > 1:
                steps = itertools.pairwise(seen)
                grown = sum(after - before if after >= before else after for before, after in steps)
                found[frozenset(each.labels.items())] = grown
        return found

    def _absent(self, selector: _Selector) -> Vector:
        equal = frozenset((label, text) for label, sign, text in selector.matchers if sign == "=")
        return {} if self._instant(selector) else {equal: 1.0}

    def _labels(self) -> frozenset[str]:
        self._want("(")
        found = []
        while not self._take(")"):
            found.append(self._next())
            if self._peek() != ")":
                self._want(",")
        return frozenset(found)

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _next(self) -> str:
        if self._place >= len(self._tokens):
            raise PromqlError("it ends too early")
        self._place += 1
        return self._tokens[self._place - 1]

    def _take(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._place += 1
        return True

    def _want(self, token: str) -> None:
        if not self._take(token):
            raise PromqlError(f"{token!r} is missing before {self._peek()!r}")


def _tokens(expression: str) -> Iterator[str]:
    place, rest = 0, expression.rstrip()
    while place < len(rest):
        found = _TOKEN.match(rest, place)
        if found is None:
            raise PromqlError(f"not understood: {rest[place:]!r}")
        place = found.end()
        yield found.group().strip()


def _vector(value: Vector | float) -> Vector:
    if isinstance(value, float):
        raise PromqlError("a number stands where series should")
    return value


def _only(labels: Labels, names: frozenset[str] | None) -> Labels:
    if names is None:
        return labels
    return frozenset(pair for pair in labels if pair[0] in names)


def _seconds(duration: str) -> float:
    if not re.fullmatch(r"\d+[smhd]", duration):
        raise PromqlError(f"{duration!r} is no duration")
    return float(duration[:-1]) * _UNITS[duration[-1]]


def _quantiles(share: float, buckets: Vector) -> Vector:
    """The upper bound of the bucket that the share falls into; Prometheus goes between bounds."""
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in buckets.items():
        bound = float(dict(labels)["le"].replace("+Inf", "inf"))
        rest = frozenset(pair for pair in labels if pair[0] != "le")
        groups.setdefault(rest, []).append((bound, count))
    found = {}
    for labels, counts in groups.items():
        counts.sort()
        total = counts[-1][1]
        if total > 0:
            found[labels] = next(bound for bound, count in counts if count >= share * total)
    return found
