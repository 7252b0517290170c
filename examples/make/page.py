"""A picture that remembers what is written on it."""

import functools

from PIL import Image, ImageDraw, ImageFont

from paths import FONTS

FACES = {
    "sans": "dejavu-fonts-ttf-2.37.3/ttf/DejaVuSans.ttf",
    "sans-bold": "dejavu-fonts-ttf-2.37.3/ttf/DejaVuSans-Bold.ttf",
    "serif": "fontsource-lora-5.3.0/files/lora-latin-400-normal.woff2",
    "serif-bold": "fontsource-lora-5.3.0/files/lora-latin-700-normal.woff2",
    "ui": "fontsource-roboto-5.3.0/files/roboto-latin-400-normal.woff2",
    "ui-bold": "fontsource-roboto-5.3.0/files/roboto-latin-700-normal.woff2",
    "humanist": "fontsource-open-sans-5.3.0/files/open-sans-latin-400-normal.woff2",
    "humanist-bold": "fontsource-open-sans-5.3.0/files/open-sans-latin-700-normal.woff2",
    "typewriter": "fontsource-courier-prime-5.3.0/files/courier-prime-latin-400-normal.woff2",
    "typewriter-bold": "fontsource-courier-prime-5.3.0/files/courier-prime-latin-700-normal.woff2",
    "mono": "dejavu-fonts-ttf-2.37.3/ttf/DejaVuSansMono.ttf",
}


@functools.cache
def font(face, size):
    """Returns a font; face is a key of FACES, size is in pixels."""
    return ImageFont.truetype(FONTS / FACES[face], size, layout_engine=ImageFont.Layout.BASIC)


class Page:
    """A picture and its lines, top to bottom; face and ink are what text() uses when told nothing else."""

    def __init__(self, width, height, paper="white", face="sans", ink="black"):
        self.image = Image.new("RGB", (width, height), paper)
        self.draw = ImageDraw.Draw(self.image)
        self.face, self.ink = face, ink
        self.written = []  # (y, x, text), y being the middle of the line

    def text(self, x, y, text, size, face=None, ink=None, right=False):
        """Writes one line with its capitals' top at y, from x on or, when right, up to x; returns the width."""
        used = font(face or self.face, size)
        width = used.getlength(text)
        left = x - width if right else x
        ascent = -used.getbbox("H", anchor="ls")[1]
        self.draw.text((left, y + ascent), text, font=used, fill=ink or self.ink, anchor="ls")
        self.written.append((y + ascent / 2, left, text))
        return width

    def block(self, x, y, width, text, size, leading=1.6, **style):
        """Writes text broken into lines of at most width; returns the y below the last one."""
        used = font(style.get("face") or self.face, size)
        line = ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and used.getlength(longer) > width:
                self.text(x, y, line, size, **style)
                y += round(size * leading)
                longer = word
            line = longer
        self.text(x, y, line, size, **style)
        return y + round(size * leading)

    def box(self, x, y, width, height, fill=None, outline=None, radius=0):
        """Draws a rectangle."""
        self.draw.rounded_rectangle((x, y, x + width, y + height), radius, fill=fill, outline=outline)

    def rule(self, x, y, width, ink):
        """Draws a level line."""
        self.draw.line((x, y, x + width, y), fill=ink)

    def turn(self):
        """Turns the picture upside down."""
        width, height = self.image.size
        self.image = self.image.rotate(180)
        self.written = [(height - y, width - x, text) for y, x, text in self.written]
        return self

    def paste(self, other, x, y):
        """Puts another page on this one, with its top left corner at (x, y)."""
        self.image.paste(other.image, (x, y))
        self.written += [(y + line_y, x + line_x, text) for line_y, line_x, text in other.written]

    def lines(self):
        """Returns what is written, as it stands on the picture from top to bottom; a row's parts joined by blanks."""
        rows = []
        for y, x, text in sorted(self.written):
            if rows and y - rows[-1][0] < 3:
                rows[-1][1].append((x, text))
            else:
                rows.append((y, [(x, text)]))
        return [" ".join(text for _, text in sorted(parts)) for _, parts in rows]
