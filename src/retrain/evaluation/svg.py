"""Charts as SVG text for the report: no program draws them, and the same values give the same bytes.

Classes name the colours; the style sheet of `report.html.jinja` defines them, so that they follow dark mode and print.
"""

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Axis", "Chart", "clean", "heat_map", "level_of", "percent", "ranges"]


WIDTH, HEIGHT = 440, 300
"""The size of a chart in its own units: on a phone, a letter of 13 units is still about 10 pixels high."""
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 12, 48
"""Margins for labels."""
LETTER = 7.2
"""The mean width of a letter."""
TINY = 1e-290
"""Values below this are drawn as zero: their steps would be."""
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Characters that a page may not hold, and those that turn the direction of the text after them."""
LEVELS = (0.0, 0.05, 0.2, 0.5, 0.8)
"""Above each of these shares, a cell of a matrix has the next darker colour."""


def clean(text: str) -> str:
    """A text of the data without characters that would break a page."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(text: str) -> str:
    """A text as part of a page."""
    return html.escape(clean(text))


def number(value: float) -> str:
    """A coordinate."""
    return f"{value:.1f}".removesuffix(".0")


def percent(share: float, places: int = 1) -> str:
    """A share for people; its sign stays on the line of its number."""
    return f"{100 * share:.{places}f}\N{NO-BREAK SPACE}%"


def level_of(share: float) -> int:
    """The number of a share's colour, from 0 for nothing to 5."""
    return sum(share > level for level in LEVELS)


def drawing(name: str, title: str, description: str, size: tuple[float, float], body: Iterable[str]) -> str:
    """An SVG that a screen reader reads as an image with a title and a description."""
    width, height = map(number, size)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-labelledby="{name}-title {name}-text"><title id="{name}-title">{escaped(title)}</title>'
        f'<desc id="{name}-text">{escaped(description)}</desc>{"".join(body)}</svg>'
    )


def label(x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    """A text at a point."""
    return f'<text x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"{more}>{escaped(text)}</text>'


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    Attributes:
        label: its name, with the unit.
        low: the smallest value to show.
        high: the largest one.
        percent: whether values are shares.
        whole: whether only whole numbers have a tick.
    """

    label: str
    low: float
    high: float
    percent: bool = False
    whole: bool = False

    @classmethod
    def over(cls, label: str, values: Iterable[float], *, percent: bool = False, whole: bool = False) -> "Axis":
        """An axis that shows some values, of which there is at least one, with a little room around them."""
        low, high = min(found := list(values)), max(found)
        room, largest = 0.04 * (high - low), max(abs(low), abs(high))
        if room <= max(1e-9 * largest, TINY):
            room = 0.05 * largest if largest > TINY else 1.0
        return cls(label, low - room, high + room, percent, whole)

    def step(self) -> float:
        """The distance of two ticks: 1, 2 or 5 times a power of ten, so that there are at most seven."""
        rough = (self.high - self.low) / 6
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        return max(step, 1.0) if self.whole else step

    def ticks(self) -> list[tuple[float, str]]:
        """The ticks with their labels."""
        step = self.step()
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [(tick, self.text(tick, step)) for tick in (count * step for count in range(first, last + 1))]

    def text(self, tick: float, step: float) -> str:
        """The label of a tick, with as many decimals as the step needs."""
        if self.percent:
            return percent(tick, decimals(100 * step))
        if max(abs(self.low), abs(self.high)) >= 1e6 or step < 1e-4:
            return f"{tick:.4g}"
        return f"{tick:,.{decimals(step)}f}"


def decimals(step: float) -> int:
    """The decimals that distinguish ticks of this distance."""
    return max(-math.floor(math.log10(step) + 1e-9), 0)


@dataclass
class Chart:
    """A chart of two axes; each method draws one more thing over what is already there."""

    x: Axis
    y: Axis
    square: bool = False
    """Whether it is about as high as wide, for two axes of the same quantity."""
    body: list[str] = field(default_factory=list)

    @property
    def height(self) -> int:
        """Its height."""
        return WIDTH - 20 if self.square else HEIGHT

    def across(self, value: float) -> float:
        """Where a value is on the x axis."""
        return LEFT + (value - self.x.low) / (self.x.high - self.x.low) * (WIDTH - LEFT - RIGHT)

    def down(self, value: float) -> float:
        """Where a value is on the y axis."""
        bottom = self.height - BOTTOM
        return bottom - (value - self.y.low) / (self.y.high - self.y.low) * (bottom - TOP)

    def points(self, points: Iterable[tuple[float, float]]) -> str:
        """Values as coordinates."""
        return " ".join(f"{number(self.across(x))},{number(self.down(y))}" for x, y in points)

    def line(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """A line through some points."""
        self.body.append(f'<polyline class="line {kind}" points="{self.points(points)}"/>')

    def band(self, points: Iterable[tuple[float, float]]) -> None:
        """An area."""
        self.body.append(f'<polygon class="band" points="{self.points(points)}"/>')

    def dots(self, points: Iterable[tuple[float, float]], kind: str, size: float = 3.2) -> None:
        """A mark at each point: a circle, or a square for `s2`; one path for all."""
        shape = f"h{number(2 * size)}v{number(2 * size)}h-{number(2 * size)}z"
        if kind != "s2":
            arc = f"a{number(size)},{number(size)} 0 1,0 "
            shape = f"{arc}{number(2 * size)},0{arc}-{number(2 * size)},0z"
        marks = []
        for x, y in points:
            corner = self.down(y) - (size if kind == "s2" else 0)
            marks.append(f"M{number(self.across(x) - size)},{number(corner)}{shape}")
        self.body.append(f'<path class="dot {kind}" d="{"".join(marks)}"/>')

    def vertical(self, x: float) -> None:
        """A line from top to bottom at a value."""
        self.line([(x, self.y.low), (x, self.y.high)], "mark")

    def render(self, name: str, title: str, description: str) -> str:
        """The chart as SVG; `name` is unique in the page."""
        bottom, middle = self.height - BOTTOM, (self.height - BOTTOM + TOP) / 2
        parts = []
        for tick, text in self.x.ticks():
            x = number(self.across(tick))
            parts.append(f'<path class="grid" d="M{x},{TOP}V{bottom}"/>')
            parts.append(label(self.across(tick), bottom + 17, text))
        for tick, text in self.y.ticks():
            y = number(self.down(tick))
            parts.append(f'<path class="grid" d="M{LEFT},{y}H{WIDTH - RIGHT}"/>')
            parts.append(label(LEFT - 6, self.down(tick) + 4, text, "end"))
        turned = f' transform="rotate(-90 13 {number(middle)})"'
        parts.append(label((LEFT + WIDTH - RIGHT) / 2, self.height - 10, shortened(self.x.label, 50)))
        parts.append(label(13, middle, shortened(self.y.label, 34), more=turned))
        frame = f'<svg x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{bottom - TOP}" '
        # This cuts off what is outside of the axes.
        frame += f'viewBox="{LEFT} {TOP} {WIDTH - LEFT - RIGHT} {bottom - TOP}">'
        body = [*parts, frame, *self.body, "</svg>", f'<path class="axis" d="M{LEFT},{TOP}V{bottom}H{WIDTH - RIGHT}"/>']
        return drawing(name, title, description, (WIDTH, self.height), body)


def shortened(text: str, length: int) -> str:
    """A text without its middle if it is longer than this."""
    half = length // 2
    return text if len(text) <= length else f"{text[: half - 1]}…{text[len(text) - half :]}"


def ranges(
    name: str,
    title: str,
    description: str,
    axis: Axis,
    rows: Sequence[tuple[str, str, float, tuple[float, float] | None]],
) -> str:
    """One value per line with its interval, to compare.

    Args:
        name: unique in the page.
        title: what it shows.
        description: the same values in words.
        axis: the axis of the values.
        rows: a label, a kind of mark, the value, and its interval if there is one.
    """
    left, line = 86, 26
    chart = Chart(axis, axis)

    def across(value: float) -> float:
        return left + (chart.across(value) - LEFT) / (WIDTH - LEFT - RIGHT) * (WIDTH - left - 24)

    bottom = 8 + line * len(rows)
    parts = []
    for tick, text in axis.ticks():
        parts.append(f'<path class="grid" d="M{number(across(tick))},4V{bottom}"/>')
        parts.append(label(across(tick), bottom + 17, text))
    for place, (text, kind, value, interval) in enumerate(rows):
        y = 8 + line * (place + 0.5)
        parts.append(label(left - 10, y + 4, text, "end"))
        if interval:
            low, high = (number(across(end)) for end in interval)
            bar = f"M{low},{number(y)}H{high}M{low},{number(y - 9)}v18M{high},{number(y - 9)}v18"
            parts.append(f'<path class="line {kind}" d="{bar}"/>')
        parts.append(f'<circle class="dot {kind}" cx="{number(across(value))}" cy="{number(y)}" r="5"/>')
    parts.append(label((left + WIDTH - 24) / 2, bottom + 38, axis.label))
    return drawing(name, title, description, (WIDTH, bottom + 46), parts)


def heat_map(name: str, title: str, description: str, counts: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """A confusion matrix of many classes: the colour of a cell is its share of the target's rows; targets down."""
    cell = 14
    labels = [shortened(text, 22) for text in names]
    left = 24 + LETTER * max(map(len, labels))
    end = left + cell * len(names)
    cells: dict[int, list[str]] = {}
    for down, row in enumerate(counts):
        for across, count in enumerate(row):
            if count:
                corner = f"M{number(left + cell * across)},{number(left + cell * down)}h{cell}v{cell}h-{cell}z"
                cells.setdefault(level_of(count / sum(row)), []).append(corner)
    parts = [f'<path class="h{level}" d="{"".join(places)}"/>' for level, places in sorted(cells.items())]
    parts += [
        f'<path class="grid" d="M{line},{number(left)}V{number(end)}M{number(left)},{line}H{number(end)}"/>'
        for line in (number(left + cell * place) for place in range(0, len(names) + 1, 5))
    ]
    for place, text in enumerate(labels):
        middle = left + cell * (place + 0.5) + 4
        parts.append(label(left - 4, middle, text, "end"))
        turned = f' transform="rotate(-90 {number(middle)} {number(left - 4)})"'
        parts.append(label(middle, left - 4, text, "start", turned))
    parts.append(label(10, (left + end) / 2, "target", more=f' transform="rotate(-90 10 {number((left + end) / 2)})"'))
    parts.append(label((left + end) / 2, 12, "predicted"))
    return drawing(name, title, description, (end + 4, end + 4), parts)
