"""False alarms of the search for near-duplicates on drawn sets of distinct images, and its misses.

    python -m benchmarks.near_duplicates [--images=600]

Every image of a set is drawn on its own, so that each pair is a false alarm. Misses are edited
copies that are not similar to their original. Prints one row per set for BUILD_NOTES.md.
"""

import argparse
import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from jaxdl.data import near_duplicates

SIDE = 128
CUTS = {
    'shirt': [(-0.22, 0.12), (0.22, 0.12), (0.42, 0.34), (0.3, 0.4), (0.23, 0.3), (0.24, 0.87)],
    'pullover': [(-0.2, 0.12), (0.2, 0.12), (0.4, 0.6), (0.3, 0.66), (0.22, 0.36), (0.22, 0.87)],
    'trousers': [(-0.16, 0.12), (0.16, 0.12), (0.18, 0.88), (0.05, 0.88), (0, 0.36)],
    'dress': [(-0.13, 0.12), (0.13, 0.12), (0.11, 0.4), (0.27, 0.88)],
    'vase': [(-0.1, 0.1), (0.1, 0.1), (0.08, 0.3), (0.24, 0.6), (0.16, 0.9)],
}
LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'


def draw_product(rng: np.random.Generator) -> Image.Image:
    """A garment or a vase on a light background: five cuts, five patterns, any colours."""
    cut = list(CUTS.values())[rng.integers(len(CUTS))]
    jitter = rng.normal(0, 0.012, (len(cut), 2))
    right = (np.array(cut) + jitter) * SIDE
    left = right[::-1] * (-1, 1)
    outline = np.vstack([right[1:], left[:-1]])
    outline[:, 0] += SIDE / 2
    mask = Image.new('L', (SIDE, SIDE))
    ImageDraw.Draw(mask).polygon([tuple(point) for point in outline], fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(0.7))
    picture = Image.new('RGB', (SIDE, SIDE), (int(rng.integers(232, 256)),) * 3)
    picture.paste(_fabric(rng), mask=mask)
    return picture


def draw_character(rng: np.random.Generator) -> Image.Image:
    """A letter or digit: sizes, places, angles and greys of its own."""
    picture = Image.new('L', (SIDE, SIDE), int(rng.integers(225, 256)))
    font = ImageFont.load_default(size=float(rng.uniform(70, 100)))
    place = tuple(SIDE / 2 + rng.normal(0, 3, 2))
    letter = LETTERS[rng.integers(len(LETTERS))]
    ImageDraw.Draw(picture).text(place, letter, int(rng.integers(0, 90)), font, anchor='mm')
    background = picture.getpixel((0, 0))
    return picture.rotate(rng.normal(0, 6), fillcolor=background).convert('RGB')


def draw_scene(rng: np.random.Generator) -> Image.Image:
    """Boxes and discs of any colour all over the image: no plain background."""
    noise = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
    picture = noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for shape in (draw.rectangle, draw.ellipse) * 6:
        x, y, width, height = rng.uniform(0, SIDE, 4)
        shape([x, y, x + width / 2, y + height / 2], fill=_colour(rng))
    return picture


SETS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    'products': draw_product,
    'characters': draw_character,
    'scenes': draw_scene,
}


def encode(image: Image.Image) -> Image.Image:
    """The image after JPEG of quality 40."""
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=40)
    return Image.open(file).convert('RGB')


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    'JPEG 40': encode,
    'brightness 0.85': lambda image: ImageEnhance.Brightness(image).enhance(0.85),
    'contrast 0.7': lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    'half the size': lambda image: image.resize((SIDE // 2,) * 2).resize((SIDE,) * 2),
    'crop of 97 %': lambda image: image.crop((2, 2, SIDE - 2, SIDE - 2)).resize((SIDE,) * 2),
}


def _fabric(rng: np.random.Generator) -> Image.Image:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pixels = np.empty((SIDE, SIDE, 3))
    pixels[:] = _colour(rng)
    pattern, period = rng.integers(5), rng.uniform(4, 20)
    if pattern == 1:
        pixels[rows // period % 2 < 1] = _colour(rng)
    elif pattern == 2:
        pixels[columns // period % 2 < 1] = _colour(rng)
    elif pattern == 3:
        spots = Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).resize((SIDE, SIDE))
        pixels += np.asarray(spots, float)[..., None] * 0.4 - 50
    fabric = Image.fromarray(
        (pixels + rng.normal(0, 3, pixels.shape)).clip(0, 255).astype(np.uint8)
    )
    if pattern == 4:
        x, y = rng.uniform(0.4, 0.6, 2) * SIDE
        ImageDraw.Draw(fabric).ellipse(
            [x - period, y - period, x + period, y + period], _colour(rng)
        )
    return fabric


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(map(int, rng.integers(10, 230, 3)))


def main() -> None:
    """Print pairs among distinct images, and edited copies that are not found."""
    parser = argparse.ArgumentParser(description='False alarms of the search for near-duplicates.')
    parser.add_argument('--images', type=int, default=600)
    count = parser.parse_args().images
    print('| set | pairs by hash alone | pairs | images in pairs | missed copies |')
    print('|---|---:|---:|---:|---:|')
    for name, draw in SETS.items():
        rng = np.random.default_rng(0)
        drawn = [draw(rng) for _ in range(count)]
        images = np.stack([np.asarray(image) for image in drawn])
        by_hash = near_duplicates.find_pairs(near_duplicates.compute_hashes(images))
        pairs = near_duplicates.find_similar(images)
        missed = sum(_missed(images, drawn, edit) for edit in EDITS.values()) / len(EDITS)
        shares = (len(np.unique(pairs)) / count, missed / count)
        cells = ' | '.join(f'{100 * share:.1f} %' for share in shares)
        print(f'| {name} | {len(by_hash):,} | {len(pairs):,} | {cells} |')


def _missed(images: np.ndarray, drawn: list[Image.Image], edit: Callable[..., Image.Image]) -> int:
    """Number of edited copies that are not found as similar to their original."""
    copies = np.stack([np.asarray(edit(image)) for image in drawn])
    both = np.concatenate([images, copies])
    alike = np.bitwise_count(
        np.bitwise_xor(*np.split(near_duplicates.compute_hashes(both), 2))
    ).sum(1)
    index = np.arange(len(drawn))
    confirmed = near_duplicates.compare_pixels(both)(index, index + len(drawn))
    return int((~confirmed | (alike > near_duplicates.DISTANCE)).sum())


if __name__ == '__main__':
    main()
