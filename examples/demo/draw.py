"""How the demo's font, picture and icon were drawn.

It is not part of ``make demo``. To draw them again: ``pip install fonttools brotli pillow``, then
``python -m examples.demo.draw``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image

HERE = Path(__file__).parent

#: Each glyph is a column of rows, top first; nine rows, of which the last two hang below the line.
LETTERS = """
a ..... ..... .###. ....# .#### #...# .#### ..... .....
b #.... #.... ####. #...# #...# #...# ####. ..... .....
c .... .... .### #... #... #... .### .... ....
d ....# ....# .#### #...# #...# #...# .#### ..... .....
e ..... ..... .###. #...# ##### #.... .###. ..... .....
f .## #.. ### #.. #.. #.. #.. ... ...
g ..... ..... .#### #...# #...# #...# .#### ....# .###.
h #... #... ###. #..# #..# #..# #..# .... ....
i # . # # # # # . .
j .# .. .# .# .# .# .# .# #.
k #... #... #..# #.#. ##.. #.#. #..# .... ....
l #. #. #. #. #. #. .# .. ..
m ..... ..... ####. #.#.# #.#.# #.#.# #.#.# ..... .....
n .... .... ###. #..# #..# #..# #..# .... ....
o ..... ..... .###. #...# #...# #...# .###. ..... .....
p ..... ..... ####. #...# #...# #...# ####. #.... #....
q ..... ..... .#### #...# #...# #...# .#### ....# ....#
r ... ... #.# ##. #.. #.. #.. ... ...
s .... .... .### #... .##. ...# ###. .... ....
t #.. #.. ### #.. #.. #.. .## ... ...
u .... .... #..# #..# #..# #..# .### .... ....
v ..... ..... #...# #...# #...# .#.#. ..#.. ..... .....
w ..... ..... #.#.# #.#.# #.#.# #.#.# .#.#. ..... .....
x ..... ..... #...# .#.#. ..#.. .#.#. #...# ..... .....
y .... .... #..# #..# #..# #..# .### ...# ###.
z .... .... #### ...# .##. #... #### .... ....
0 .###. #...# #..## #.#.# ##..# #...# .###. ..... .....
1 .#. ##. .#. .#. .#. .#. ### ... ...
2 .###. #...# ....# ..##. .#... #.... ##### ..... .....
3 .###. #...# ....# ..##. ....# #...# .###. ..... .....
4 ...#. ..##. .#.#. #..#. ##### ...#. ...#. ..... .....
5 ##### #.... ####. ....# ....# #...# .###. ..... .....
6 .###. #.... ####. #...# #...# #...# .###. ..... .....
7 ##### ....# ...#. ..#.. ..#.. ..#.. ..#.. ..... .....
8 .###. #...# #...# .###. #...# #...# .###. ..... .....
9 .###. #...# #...# .#### ....# ....# .###. ..... .....
. . . . . . . # . .
, .. .. .. .. .. .. .# #. ..
- ... ... ... ### ... ... ... ... ...
/ ....# ....# ...#. ..#.. .#... #.... #.... ..... .....
: . . # . . . # . .
' # # . . . . . . .
! # # # # # . # . .
? .##. #..# ...# ..#. .#.. .... .#.. .... ....
"""

UNIT = 100
#: The side of a dot; the rest of the unit is the gap.
DOT = 92
BASELINE_ROW = 7
#: The time that the font says it was made at, in seconds since 1904 as fonts count.
FIRST_DAY = 3_850_000_000


def draw_font(path: Path) -> None:
    """A dot-matrix font for the headings."""
    glyphs = dict(_glyph(line) for line in LETTERS.strip().splitlines())
    named = {f"u{ord(character):04X}": drawn for character, drawn in glyphs.items()}
    builder = FontBuilder(10 * UNIT, isTTF=True)
    builder.setupGlyphOrder([".notdef", "space", *named])
    upper = {ord(each.upper()): f"u{ord(each):04X}" for each in glyphs}
    builder.setupCharacterMap({32: "space", **upper, **{ord(each): f"u{ord(each):04X}" for each in glyphs}})
    empty = TTGlyphPen(None).glyph()
    builder.setupGlyf({".notdef": empty, "space": empty, **{name: glyph for name, (glyph, _) in named.items()}})
    widths = {".notdef": (4 * UNIT, 0), "space": (4 * UNIT, 0)}
    builder.setupHorizontalMetrics({**widths, **{name: (width, 0) for name, (_, width) in named.items()}})
    builder.setupHorizontalHeader(ascent=8 * UNIT, descent=-2 * UNIT)
    builder.setupNameTable({"familyName": "Demo Dots", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=8 * UNIT, sTypoDescender=-2 * UNIT, usWinAscent=8 * UNIT, usWinDescent=2 * UNIT)
    builder.setupPost()
    builder.updateHead(created=FIRST_DAY, modified=FIRST_DAY)  # so that drawing it again gives the same bytes
    builder.font.recalcTimestamp = False
    builder.font.flavor = "woff2"
    builder.save(path)


def _glyph(line: str) -> tuple[str, tuple[object, int]]:
    character, *rows = line.split()
    pen = TTGlyphPen(None)
    for row, dots in enumerate(rows):
        for column, dot in enumerate(dots):
            if dot == "#":
                _dot(pen, column * UNIT, (BASELINE_ROW - 1 - row) * UNIT)
    return character, (pen.glyph(), (max(map(len, rows)) + 1) * UNIT)


def _dot(pen: TTGlyphPen, x: int, y: int) -> None:
    pen.moveTo((x, y))
    for corner in ((x, y + DOT), (x + DOT, y + DOT), (x + DOT, y)):
        pen.lineTo(corner)
    pen.closePath()


SIZE = WIDTH, HEIGHT = 360, 240
#: How many screen dots one drawn dot becomes.
SCALE = 4
INKS = {
    "night": (24, 32, 56),
    "sky": (244, 162, 97),
    "sun": (255, 240, 214),
    "sand": (231, 111, 81),
    "dusk": (91, 58, 84),
}

#: Thresholds of an 8 by 8 ordered dither.
BAYER = [[0]]
for _ in range(3):
    BAYER = [[4 * v + d for d in ds for v in row] for ds in ((0, 2), (3, 1)) for row in BAYER]


def draw_picture(path: Path) -> None:
    """Dunes at dusk, in five inks and no shade between."""
    picture = Image.new("RGB", SIZE)
    picture.putdata([INKS[ink] for ink in _inks()])
    picture.resize((WIDTH * SCALE, HEIGHT * SCALE), Image.Resampling.NEAREST).save(path, lossless=True, quality=100)


def _inks() -> Iterator[str]:
    for y in range(HEIGHT):
        for x in range(WIDTH):
            threshold = (BAYER[y % 8][x % 8] + 0.5) / 64
            yield _ground(x, y, threshold) or _sky(x, y, threshold)


def _sky(x: int, y: int, threshold: float) -> str:
    from_sun = math.hypot(x - 236, y - 104)
    if from_sun < 34:
        return "sun"
    glow = max(0.0, 1 - (from_sun - 34) / 90) * 0.9
    if glow > threshold and (x + y) % 2:
        return "sun" if glow * 0.7 > threshold else "sky"
    height = y / 150
    return "sky" if height**1.5 > threshold else "dusk" if height * 2 + 0.1 > threshold else "night"


def _ground(x: int, y: int, threshold: float) -> str | None:
    """Three crests, the nearest first; each is lit on the side of the sun."""
    for base, swell, length, phase, lit, dark in (
        (196, 22, 150, 0.4, 0.62, "night"),
        (166, 18, 118, 2.1, 0.48, "night"),
        (146, 10, 86, 4.0, 0.34, "dusk"),
    ):
        angle = x / length * math.tau / 2 + phase
        crest = base + swell * math.sin(angle) + 4 * math.sin(angle * 2.7)
        if y >= crest:
            slope = math.cos(angle + (y - crest) / 46)
            light = lit + 0.45 * slope - (y - crest) / 150
            return "sand" if light > threshold else dark
    return None


def draw_cover(picture: Path, path: Path) -> None:
    """The part of the picture that other sites show when the page is linked to."""
    with Image.open(picture) as whole:
        whole.crop((180, 200, 180 + 1200, 200 + 630)).quantize(len(INKS)).save(path, optimize=True)


ICON = """
.######.
########
##....##
##.##.##
##.##.##
##....##
########
.######.
"""


def draw_icon(path: Path) -> None:
    """The mark as a browser wants it: 16, 32 and 48 dots wide."""
    rows = ICON.split()
    icon = Image.new("RGBA", (8, 8))
    icon.putdata([(231, 111, 81, 255) if dot == "#" else (0, 0, 0, 0) for row in rows for dot in row])
    icon.resize((48, 48), Image.Resampling.NEAREST).save(path, sizes=[(16, 16), (32, 32), (48, 48)])


if __name__ == "__main__":
    draw_font(HERE / "assets/fonts/dots.woff2")
    draw_picture(HERE / "media/dunes.webp")
    draw_cover(HERE / "media/dunes.webp", HERE / "og/cover.png")
    draw_icon(HERE / "assets/favicon.ico")
