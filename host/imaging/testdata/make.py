"""Makes the images beside this file with another implementation than the one under test.

    pip install pillow==12.3.0 && python3 host/imaging/testdata/make.py

Every NAME.EXT has a NAME.want.png: the RGB pixels that Pillow reads back, upright and over white.
"""
import pathlib

from PIL import Image, ImageOps

here = pathlib.Path(__file__).parent
W, H = 37, 23


def picture(mode="RGB"):
    im = Image.new("RGBA", (W, H))
    for y in range(H):
        for x in range(W):
            alpha = min(255, 40 + 9 * x)
            im.putpixel((x, y), (255 * x // (W - 1), 255 * y // (H - 1), 255 - 200 * x // (W - 1), alpha))
    return im if mode == "RGBA" else im.convert("RGB").convert(mode)


def want(name, im):
    im = ImageOps.exif_transpose(im)
    if im.mode in ("P", "LA", "PA", "RGBA") or "transparency" in im.info:
        im = im.convert("RGBA")
        white = Image.new("RGBA", im.size, "white")
        im = Image.alpha_composite(white, im)
    im.convert("RGB").save(here / f"{name}.want.png", optimize=True)


def save(name, ext, im, **options):
    path = here / f"{name}.{ext}"
    im.save(path, **options)
    with Image.open(path) as back:
        back.load()
        want(name, back)


for ratio, subsampling in (("444", 0), ("422", 1), ("420", 2)):
    save(f"jpeg-{ratio}", "jpg", picture(), quality=95, subsampling=subsampling)
save("jpeg-progressive", "jpg", picture(), quality=95, progressive=True)
save("jpeg-gray", "jpg", picture("L"), quality=95)
save("jpeg-cmyk", "jpg", picture("CMYK"), quality=95)
save("jpeg-rgb", "jpg", picture(), quality=95, keep_rgb=True)
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif[0x0112] = orientation
    save(f"jpeg-turn{orientation}", "jpg", picture(), quality=90, exif=exif)
save("webp-lossy", "webp", picture(), quality=95)
save("webp-lossless", "webp", picture(), lossless=True)
save("webp-lossy-alpha", "webp", picture("RGBA"), quality=95)
save("webp-lossless-alpha", "webp", picture("RGBA"), lossless=True)
frames = [picture(), picture().transpose(Image.Transpose.ROTATE_180)]
frames[0].save(here / "webp-animated.webp", save_all=True, append_images=frames[1:], duration=50)
save("png-palette", "png", picture().quantize(17))
save("png-gray-alpha", "png", picture("RGBA").convert("LA"))
save("png-bilevel", "png", picture("1"))
save("png-alpha", "png", picture("RGBA"))
keyed = picture().quantize(16)
keyed.info["transparency"] = 3
save("png-palette-keyed", "png", keyed, transparency=3)
save("gif-keyed", "gif", keyed, transparency=3)
frames[0].save(here / "gif-animated.gif", save_all=True, append_images=frames[1:], duration=50)
with Image.open(here / "gif-animated.gif") as first:
    want("gif-animated", first)
