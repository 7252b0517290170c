"""Draws the pictures of examples/images and writes what stands on them to expected.json.

Run through `make -C examples/make images`. Sizes of type are those of real pages: 13 to 20 pixels for running text in
pictures about 1,000 pixels wide. Every picture is the same file each time, on the same versions of the packages.
"""

import random

from PIL import Image, ImageFilter

import textual
from page import Page
from paths import IMAGES


def invoice_sans():
    """An invoice with a table, DejaVu Sans."""
    page = Page(1000, 1240)
    page.text(60, 50, "INVOICE", 44, face="sans-bold", ink="#1f3a5f")
    page.text(940, 60, "Brightwater Supplies Ltd", 20, right=True)
    page.text(940, 102, "14 Mill Lane, Bristol", 18, right=True, ink="#444444")
    page.rule(60, 136, 880, "#999999")
    page.text(60, 165, "Invoice number: 2026-0417", 20)
    page.text(60, 197, "Date: 3 November 2026", 20)
    page.text(60, 229, "Payment due: 3 December 2026", 20)
    page.text(60, 290, "Bill to", 18, face="sans-bold")
    for number, line in enumerate(("Harbour Books", "221 Harbour Street", "Rotterdam")):
        page.text(60, 320 + 30 * number, line, 20)
    page.box(60, 440, 880, 40, fill="#e6ecf3")
    columns = ((80, False), (620, True), (760, True), (920, True))
    rows = [("Description", "Quantity", "Price", "Amount")]
    rows += [("Desk lamp, brass", "12", "49.90", "598.80"), ("Oak shelf, 80 cm", "7", "120.00", "840.00")]
    rows += [("Paper, 500 sheets", "40", "4.25", "170.00"), ("Delivery", "1", "35.00", "35.00")]
    for number, row in enumerate(rows):
        for (x, right), cell in zip(columns, row):
            page.text(x, 452 + 52 * number, cell, 19, face=None if number else "sans-bold", right=right)
        page.rule(60, 480 + 52 * number, 880, "#cccccc")
    for number, (name, value) in enumerate((("Subtotal", "1643.80"), ("VAT 20 %", "328.76"), ("Total EUR", "1972.56"))):
        face = "sans-bold" if name.startswith("Total") else None
        page.text(620, 740 + 40 * number, name, 20, face=face)
        page.text(920, 740 + 40 * number, value, 20, face=face, right=True)
    page.block(60, 930, 860, "Please pay within thirty days. Thank you for your order and your trust.", 18)
    return page


def invoice_serif():
    """A short invoice in serif type, no table lines."""
    page = Page(820, 900, paper="#fffdf6", face="serif", ink="#222222")
    page.text(70, 70, "Maple & Stone", 38, face="serif-bold")
    page.text(70, 125, "Garden design since 1987", 18)
    page.text(750, 78, "Invoice 5093", 22, right=True, face="serif-bold")
    page.text(750, 125, "12 March 2026", 18, right=True)
    page.text(70, 210, "For Mrs Helen Abbott, 8 Orchard Road", 20)
    items = (("Planting plan", "350.00"), ("Two apple trees", "96.00"), ("Gravel path, nine metres", "412.50"))
    for number, (name, price) in enumerate(items):
        page.text(70, 290 + 46 * number, name, 20)
        page.text(750, 290 + 46 * number, price, 20, right=True)
    page.rule(70, 440, 680, "#888888")
    page.text(70, 462, "Sum due in pounds", 22, face="serif-bold")
    page.text(750, 462, "858.50", 22, right=True, face="serif-bold")
    page.block(70, 560, 660, "Kindly transfer the sum by the end of the month. We hope that you enjoy the garden.", 18)
    return page


def receipt():
    """A till receipt: typewriter face, grey and slightly noisy thermal paper."""
    page = Page(420, 860, paper="#ecebe6", face="typewriter", ink="#2a2a2a")
    page.text(110, 36, "CORNER MARKET", 26, face="typewriter-bold")
    page.text(98, 78, "5 Station Road, Leeds", 18)
    page.text(40, 140, "Till 3", 20)
    page.text(380, 140, "2026-11-21 17:42", 20, right=True)
    rows = (("Rye bread", "2.80"), ("Milk 2 l", "1.95"), ("Apples 1.2 kg", "3.36"), ("Coffee beans", "8.49"))
    rows += (("Olive oil", "11.20"), ("Dark chocolate", "2.15"), ("Matches", "0.70"))
    for number, (name, price) in enumerate(rows):
        page.text(40, 200 + 44 * number, name, 20)
        page.text(380, 200 + 44 * number, price, 20, right=True)
    page.rule(40, 524, 340, "#555555")
    page.text(40, 548, "TOTAL", 26, face="typewriter-bold")
    page.text(380, 548, "30.65", 26, right=True, face="typewriter-bold")
    page.text(40, 604, "Card payment", 20)
    page.text(380, 604, "30.65", 20, right=True)
    page.text(40, 690, "Thank you, come again", 20)
    noise(page, 10, seed=3)
    return page


def invoice_modern():
    """An invoice with a coloured head and white type."""
    page = Page(1100, 780, face="humanist", ink="#20242c")
    page.box(0, 0, 1100, 130, fill="#0f766e")
    page.text(60, 42, "Northwind Hosting", 34, face="humanist-bold", ink="white")
    page.text(1040, 52, "Invoice 88-1206", 22, ink="white", right=True)
    page.text(60, 176, "Customer: Lakeside Clinic", 20)
    page.text(1040, 176, "Period: October 2026", 20, right=True)
    rows = (("Service", "Hours", "Cost"), ("Server rental, four cores", "744", "89.28"))
    rows += (
        ("Object storage, 2 TB", "744", "41.60"),
        ("Nightly backup", "31", "15.50"),
        ("Support plan", "-", "25.00"),
    )
    for number, row in enumerate(rows):
        y = 250 + 56 * number
        page.box(60, y - 18, 980, 50, fill="#d7efec" if not number else "#f4f6f8" if number % 2 else "white")
        face = "humanist-bold" if not number else None
        page.text(80, y, row[0], 20, face=face)
        page.text(740, y, row[1], 20, face=face, right=True)
        page.text(1020, y, row[2], 20, face=face, right=True)
    page.text(1020, 570, "Amount due: 171.38 USD", 26, face="humanist-bold", right=True)
    page.text(60, 680, "Questions? Write to billing@northwind.example", 18, ink="#5b6472")
    return page


def settings_light():
    """A settings window, light."""
    page = Page(960, 640, paper="#f3f4f6", face="ui", ink="#111827")
    page.box(0, 0, 240, 640, fill="white")
    page.text(24, 30, "Preferences", 24, face="ui-bold")
    for number, name in enumerate(("Account", "Privacy", "Notifications", "Appearance", "Storage", "About")):
        if number == 2:
            page.box(12, 90 + 44 * number, 216, 38, fill="#dbeafe", radius=8)
        page.text(28, 101 + 44 * number, name, 18, ink="#1d4ed8" if number == 2 else "#374151")
    page.text(280, 52, "Notifications", 28, face="ui-bold")
    rows = (
        ("Email summary", "Sent every Monday morning", True),
        ("Desktop alerts", "Shown while you are working", True),
    )
    rows += (("Sound", "Play a tone for new messages", False), ("Quiet hours", "From ten at night until seven", True))
    for number, (name, help_text, on) in enumerate(rows):
        y = 112 + 104 * number
        page.box(280, y, 640, 88, fill="white", outline="#e5e7eb", radius=10)
        page.text(304, y + 20, name, 19, face="ui-bold")
        page.text(304, y + 52, help_text, 17, ink="#6b7280")
        page.box(850, y + 30, 48, 26, fill="#2563eb" if on else "#d1d5db", radius=13)
        page.draw.ellipse((875 if on else 853, y + 33, 895 if on else 873, y + 53), fill="white")
    page.box(790, 560, 130, 46, fill="#2563eb", radius=8)
    page.text(835, 576, "Save", 18, face="ui-bold", ink="white")
    page.text(700, 576, "Cancel", 18, ink="#374151")
    return page


def dashboard_dark():
    """A monitoring page, dark, with figures and a chart."""
    page = Page(1280, 720, paper="#0f172a", face="ui", ink="#e2e8f0")
    page.text(40, 34, "Cluster overview", 28, face="ui-bold")
    page.text(1240, 38, "Last hour", 18, ink="#94a3b8", right=True)
    cards = (("Requests per second", "1,284", "#38bdf8"), ("Error rate", "0.07 %", "#4ade80"))
    cards += (("Median latency", "18 ms", "#facc15"), ("Active workers", "36 of 40", "#f472b6"))
    for number, (name, value, ink) in enumerate(cards):
        x = 40 + 306 * number
        page.box(x, 90, 282, 130, fill="#1e293b", radius=12)
        page.text(x + 22, 114, name, 18, ink="#94a3b8")
        page.text(x + 22, 156, value, 36, face="ui-bold", ink=ink)
    page.box(40, 250, 1200, 250, fill="#1e293b", radius=12)
    page.text(62, 272, "Queue depth", 18, ink="#94a3b8")
    wave = random.Random(11)
    points = [(62 + 12 * i, 450 - wave.randint(0, 90)) for i in range(97)]
    page.draw.line(points, fill="#38bdf8", width=2)
    events = (("14:02", "Worker 17 restarted after a timeout"), ("14:11", "Release 42 published by Dana"))
    events += (("14:38", "Cache warmed in nine seconds"),)
    for number, (time, event) in enumerate(events):
        page.text(62, 540 + 48 * number, time, 18, ink="#94a3b8")
        page.text(160, 540 + 48 * number, event, 18)
    return page


def terminal_dark():
    """A terminal window with a build log."""
    page = Page(1000, 520, paper="#1e1e1e", face="mono", ink="#d4d4d4")
    page.box(0, 0, 1000, 40, fill="#323233")
    for number, ink in enumerate(("#ff5f56", "#ffbd2e", "#27c93f")):
        page.draw.ellipse((16 + 26 * number, 13, 30 + 26 * number, 27), fill=ink)
    page.text(420, 13, "build - zsh", 16, ink="#cccccc")
    log = (("$ make release", "#9cdcfe"), ("compiling 214 packages", None), ("running 1873 tests", None))
    log += (("warning: slow test storage/compact took 9.4 s", "#dcdcaa"), ("all tests passed", "#6a9955"))
    log += (("linking bin/server (38 MB)", None), ("uploading to the staging area", None))
    log += (("error: disk quota exceeded on node seven", "#f44747"), ("retrying in 30 seconds", None))
    log += (("upload finished, release 42 is ready", "#6a9955"),)
    for number, (line, ink) in enumerate(log):
        page.text(24, 66 + 44 * number, line, 18, ink=ink)
    return page


def chat_light():
    """A chat window with bubbles on both sides."""
    page = Page(720, 760, paper="#eef2f5", face="humanist", ink="#1b1f24")
    page.box(0, 0, 720, 64, fill="#ffffff")
    page.text(28, 24, "Support chat", 22, face="humanist-bold")
    talk = (("Hello, my parcel has not arrived yet.", False), ("Good morning! May I have the order number?", True))
    talk += (("Yes, it is 700418.", False), ("It left our warehouse on Tuesday.", True))
    talk += (("You should have it by Friday noon.", True), ("Great, thanks for the quick help!", False))
    for number, (line, agent) in enumerate(talk):
        y = 96 + 100 * number
        width = 470 if agent else 420
        x = 28 if agent else 692 - width
        page.box(x, y, width, 66, fill="#ffffff" if agent else "#c9f2d3", radius=14)
        page.text(x + 20, y + 24, line, 20)
    page.box(28, 700, 664, 44, fill="#ffffff", outline="#c5ccd3", radius=22)
    page.text(52, 714, "Type a message", 18, ink="#767f89")
    return page


def review(paper, ink, star, face, title, stars, text, author, size=20, width=760):
    """A review card: title, a bar that shows the stars given of five, text, author."""
    page = Page(width, 420, paper=paper, face=face, ink=ink)
    page.text(40, 40, title, size + 8, face=f"{face}-bold")
    page.box(40, 98, 250, 12, fill="#b8bcc2", radius=6)
    page.box(40, 98, 50 * stars, 12, fill=star, radius=6)
    below = page.block(40, 146, width - 80, text, size)
    page.text(40, below + 22, author, size - 3, ink="#7b828c")
    return page


def review_film_good():
    return review(
        "white",
        "#1a1a1a",
        "#f5b301",
        "humanist",
        "A wonderful film",
        5,
        "I loved every minute of it. The acting is superb, the story is moving and the music is beautiful. "
        "One of the best films I have seen in years. Highly recommended!",
        "Posted by Marta, 2 May 2026",
    )


def review_film_bad():
    return review(
        "#16181d",
        "#e8e8ea",
        "#e0a100",
        "ui",
        "Two hours wasted",
        1,
        "This was the worst movie of the year. The plot is dull, the jokes are awful and the actors look bored. "
        "I wanted my money back. Avoid it, it is terrible.",
        "Posted by Tom, 19 June 2026",
    )


def review_blender_bad():
    return review(
        "#fff7ed",
        "#27272a",
        "#ea580c",
        "sans",
        "Poor quality",
        1,
        "A complete waste of money. The blender was cheap and badly made, it broke on the second day. "
        "Support was useless and rude. Very disappointing, do not buy this.",
        "Verified buyer, 8 August 2026",
        size=19,
    )


def review_hotel_good():
    return review(
        "#f0f7ff",
        "#0b1f33",
        "#2f80ed",
        "serif",
        "Perfect weekend",
        5,
        "A beautiful place with excellent service and friendly staff. The room was lovely, the breakfast was great "
        "and the view is amazing. We enjoyed it very much and will be back.",
        "Guest review, 30 September 2026",
    )


def review_rotated_bad():
    """A review card, photographed upside down."""
    return review(
        "#f7f7f4",
        "#202020",
        "#c98a00",
        "ui",
        "Do not bother",
        1,
        "The story is boring and stupid from start to finish. Bad acting, horrible dialogue and a ridiculous ending. "
        "I have never been so disappointed by a sequel.",
        "Posted by Iris, 4 July 2026",
    ).turn()


def notice_rotated():
    """A notice that hangs upside down."""
    page = Page(900, 640, paper="#fafafa", face="serif", ink="#1c1c1c")
    page.text(80, 80, "Library opening hours", 40, face="serif-bold")
    hours = ("Monday to Thursday from nine to seven", "Friday and Saturday from ten to five", "Closed on Sundays")
    for number, line in enumerate(hours):
        page.text(80, 190 + 60 * number, line, 26)
    page.block(80, 420, 740, "Books can be returned at any time through the box beside the main entrance.", 22)
    return page.turn()


def leaflet_folded():
    """A leaflet, unfolded: the upper half stands upright, the lower half on its head."""
    page = Page(800, 900, paper="#f3f7ef", face="humanist", ink="#1d2b1a")
    lower = Page(800, 450, paper="#f3f7ef", face="humanist", ink="#1d2b1a")
    front = (
        "Saturday market",
        "Fresh fruit and vegetables",
        "Every week on the old town square",
        "Open from eight until two",
    )
    back = ("How to find us", "Tram 9 to Market Street", "Free parking behind the church", "Dogs are welcome")
    for half, lines in ((page, front), (lower, back)):
        half.text(80, 90, lines[0], 34, face="humanist-bold")
        for number, line in enumerate(lines[1:]):
            half.text(80, 180 + 60 * number, line, 22)
    page.paste(lower.turn(), 0, 450)
    page.rule(0, 450, 800, "#c3cfbb")
    return page


def note_tilted():
    """A note that was scanned four degrees askew."""
    page = Page(760, 420, paper="#fffbe6", face="humanist", ink="#26221a")
    page.text(110, 90, "Meeting notes", 28, face="humanist-bold")
    items = (
        "Ship the beta on Thursday",
        "Ask Nadia about the budget",
        "Order new chairs for room 12",
        "Lunch at half past one",
    )
    for number, line in enumerate(items):
        page.text(110, 150 + 46 * number, line, 21)
    page.image = page.image.rotate(4, resample=Image.Resampling.BICUBIC, fillcolor="#fffbe6")
    return page


def empty():
    """A blank sheet."""
    return Page(1240, 1754)


def tiny():
    """An icon: 32 x 32 pixels."""
    page = Page(32, 32, face="sans-bold")
    page.text(3, 9, "OK", 17)
    return page


def large():
    """A photograph-sized plan: 4000 x 3000 pixels."""
    page = Page(4000, 3000, paper="#f2f2ee", face="humanist", ink="#14213d")
    page.text(300, 260, "Evacuation plan", 200, face="humanist-bold")
    page.text(300, 560, "Building C, second floor", 110)
    page.rule(300, 760, 3400, "#14213d")
    steps = (
        "1. Stay calm and leave your things",
        "2. Close doors but do not lock them",
        "3. Use the stairs, never the lift",
    )
    steps += ("4. Meet at the car park behind the school",)
    for number, line in enumerate(steps):
        page.text(300, 960 + 260 * number, line, 120)
    page.box(300, 2200, 1700, 480, outline="#14213d")
    page.text(420, 2300, "Fire brigade: 112", 120)
    page.text(420, 2490, "Front desk: 4400", 120)
    page.draw.rectangle((2400, 2150, 3600, 2700), outline="#d00000", width=12)
    page.text(2540, 2370, "YOU ARE HERE", 130, face="humanist-bold", ink="#d00000")
    return page


def banner():
    """A wide and low strip."""
    page = Page(1600, 120, paper="#7c2d12", face="ui-bold", ink="#fff7ed")
    page.text(60, 44, "Autumn sale: everything in the shop is half price until the end of October", 36)
    return page


def noise(page, amount, seed):
    """Adds grey noise of up to `amount` levels, smoothed a little, as paper and sensors have it."""
    source = random.Random(seed)
    size = page.image.size
    grain = Image.frombytes("L", size, bytes(128 + source.randint(-amount, amount) for _ in range(size[0] * size[1])))
    grain = grain.filter(ImageFilter.GaussianBlur(0.6)).convert("RGB")
    page.image = Image.blend(page.image, grain, 0.12)


# name of the file: (what draws it, the sentiment that a reader sees in it or None)
PICTURES = {
    "invoice-sans.png": (invoice_sans, None),
    "invoice-serif.png": (invoice_serif, None),
    "invoice-receipt.jpg": (receipt, None),
    "invoice-modern.webp": (invoice_modern, None),
    "ui-settings-light.png": (settings_light, None),
    "ui-dashboard-dark.png": (dashboard_dark, None),
    "ui-terminal-dark.png": (terminal_dark, None),
    "ui-chat-light.webp": (chat_light, None),
    "review-film-good.png": (review_film_good, "positive"),
    "review-film-bad.png": (review_film_bad, "negative"),
    "review-blender-bad.jpg": (review_blender_bad, "negative"),
    "review-hotel-good.png": (review_hotel_good, "positive"),
    "rotated-review-bad.png": (review_rotated_bad, "negative"),
    "rotated-notice.png": (notice_rotated, None),
    "rotated-leaflet.png": (leaflet_folded, None),
    "tilted-note.png": (note_tilted, None),
    "banner.png": (banner, None),
    "large.png": (large, None),
    "tiny.png": (tiny, None),
    "empty.png": (empty, None),
}


def save(image, path):
    """Writes a picture: JPEG at quality 85, WebP at 80, PNG with a palette where 256 colours are enough."""
    if path.suffix == ".jpg":
        image.save(path, quality=85, optimize=True)
    elif path.suffix == ".webp":
        image.save(path, quality=80, method=6)
    else:
        colours = image.getcolors(256)
        (image.convert("P", palette=Image.Palette.ADAPTIVE, colors=256) if colours else image).save(path, optimize=True)


def main():
    IMAGES.mkdir(exist_ok=True)
    expected = {}
    for name, (draw, label) in PICTURES.items():
        page = draw()
        save(page.image, IMAGES / name)
        expected[name] = {"lines": page.lines()}
        if label:
            expected[name]["sentiment"] = label
    textual.write_json(IMAGES / "expected.json", {"images": expected}, depth=4)
    total = sum((IMAGES / name).stat().st_size for name in PICTURES)
    print(f"{len(PICTURES)} images, {total} bytes")


if __name__ == "__main__":
    main()
