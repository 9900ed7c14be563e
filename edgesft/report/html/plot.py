"""Plots: matplotlib draws them as SVG with text as text, the page's style sheet colours them.

They are as wide as a phone, so that their text can be read there; a desktop shows several beside each other.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from edgesft.report.html.markup import short
from edgesft.report.html.style import LIGHT
from edgesft.report.lines import clean

WIDTH = 360
"""Of a plot, in its own units: a phone's page in CSS pixels."""

INCH = 72
"""Units of an SVG of matplotlib's that are an inch."""

FONT = 12.0
SMALL = 11.0

COLOURS = {name: f"#0b{place:02x}0d" for place, name in enumerate(LIGHT)}
"""Name of a colour of the page → the one that stands for it while matplotlib draws, and that nothing else has."""

WIDE_RANGE = 12
"""Values that are so many times apart are drawn on a logarithmic axis."""

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": FONT,
    "axes.unicode_minus": True,
    "path.simplify_threshold": 0.3,
}
"""Text stays text, and `$` of a label is a dollar."""

NUMBER = re.compile(r"-?\d+\.\d{3,}")


def colour(name: str) -> str:
    """What matplotlib draws a colour of the page with."""
    return COLOURS[name]


def axes(
    height: float, *, left: float = 8, right: float = 10, top: float = 8, bottom: float = 36
) -> tuple[Figure, Axes]:
    """A figure of the page's width with one plain coordinate system.

    Args:
        height: Of all, in the plot's units.
        left: Room before the axes; the others alike.
        right: Room behind them.
        top: Room above them.
        bottom: Room below them.
    """
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH / INCH, height / INCH), dpi=INCH)
        FigureCanvasSVG(figure)
        place = (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, (height - top - bottom) / height)
        found = figure.add_axes(place)
    plain(found)
    return figure, found


def plain(found: Axes) -> None:
    """Takes frames and ticks away; what is left is in the page's colours."""
    found.set_facecolor("none")
    for side in ("top", "right", "left"):
        found.spines[side].set_visible(False)
    found.spines["bottom"].set_color(colour("muted"))
    found.tick_params(length=0, labelsize=SMALL, labelcolor=colour("muted"), pad=4)
    found.grid(True, axis="both", color=colour("line"), linewidth=0.8)
    found.set_axisbelow(True)
    for axis in (found.xaxis, found.yaxis):
        axis.label.set_color(colour("muted"))
        axis.label.set_fontsize(SMALL)


def scaled(found: Axes, values: Sequence[float], *, log: bool | None = None, which: str = "x") -> bool:
    """Chooses a linear or a logarithmic axis with few plain numbers, and tells which.

    Args:
        found: The coordinate system; its limits along the axis are set already, or are matplotlib's.
        values: What is drawn.
        log: Asks for one; by default the range of the values decides.
        which: `x` or `y`.
    """
    positive = [value for value in values if value > 0]
    if log is None:
        log = len(positive) == len(values) > 0 and max(positive) > WIDE_RANGE * min(positive)
    axis = found.xaxis if which == "x" else found.yaxis
    if log:
        (found.set_xscale if which == "x" else found.set_yscale)("log")
        decades = max(positive) / min(positive) > 300
        axis.set_major_locator(LogLocator(subs=(1.0,) if decades else (1.0, 2.0, 5.0), numticks=9))
        axis.set_minor_locator(FixedLocator([]))
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    return log


def _tick(value: float) -> str:
    return f"{value / 1e6:.6g} M" if abs(value) >= 1e5 else f"{value:.6g}"


def legend(found: Figure, names: Sequence[str], handles: Sequence[Any], columns: int = 3) -> None:
    """Names of what is drawn, above it."""
    box = found.legend(
        handles,
        [short(name, 60 // columns) for name in names],
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        handlelength=1.4,
        columnspacing=1.2,
        borderaxespad=0.0,
    )
    for text in box.get_texts():
        text.set_color(colour("ink"))


def words(found: Axes, x: float, y: float, text: str, most: int = 52, **settings: Any) -> None:
    """Text of the user's in a plot: one line, no formulas."""
    behind = {"facecolor": colour("surface"), "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
    told: dict[str, Any] = {"color": colour("ink"), "fontsize": FONT, "va": "center", "bbox": behind, **settings}
    found.text(x, y, short(text, most), parse_math=False, **told)


def svg(figure: Figure, title: str, description: str) -> Markup:
    """The figure as an element for the page.

    Args:
        figure: Is not drawn again.
        title: What it shows, for those who hear the page.
        description: What is to be seen on it, likewise.
    """
    label = hashlib.sha256(f"{title}\n{description}".encode("utf-8", "replace")).hexdigest()[:10]
    page = io.StringIO()
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": label}), warnings.catch_warnings():
        # The reader's fonts have the signs that matplotlib's own lacks.
        warnings.simplefilter("ignore")
        figure.savefig(
            page, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    drawn = page.getvalue()
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    body = re.sub(r"<[^>]+>", _slim, body[body.index(">") + 1 :])
    body = re.sub(r">\s+<", "><", body)
    height = round(figure.get_figheight() * INCH)
    told = f"<title>{escape(clean(title))}</title><desc>{escape(clean(description))}</desc>"
    head = f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(clean(title))}">'
    return Markup(head + told + body.strip())  # noqa: S704 - matplotlib escapes what it writes


def _slim(found: re.Match[str]) -> str:
    """A tag with the page's colours, without fonts and names, and with no more digits than can be seen."""
    text = " ".join(found[0].split())
    text = re.sub(r'^<g id="[^"]*"', "<g", text)
    text = re.sub(r" ?font-family: [^;\"]*;?", "", text).replace("xlink:href", "href")
    text = re.sub(r"font: (\d+(?:\.\d+)?px)[^;\"]*", r"font-size: \1", text)
    text = re.sub(r' transform="rotate\(-?0 [^"]*"', "", text)
    for name, value in COLOURS.items():
        text = text.replace(value, f"var(--{name})")
    return NUMBER.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), text)
