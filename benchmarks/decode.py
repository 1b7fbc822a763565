"""Images per second scaled to 32 x 32 pixels: ours beside Pillow and OpenCV, in turn.

Run    python -m benchmarks.decode
All sides decode the same JPEGs (short side 480 pixels, quality 90, made from photographs), give the
centred square as EXIF turns it, and use the same number of threads.
"""

import concurrent.futures
import io
import pathlib
import statistics
import time
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from jaxdl.data import decode
from jaxdl.runtime import machine

SIDE, SIZE, QUALITY, ROUNDS, THREADS = 480, 32, 90, 9, 2
GROCERY = pathlib.Path(__file__).parents[1] / '../shared/data/grocery/train_images'


def photographs(count=300):
    """JPEGs of short side 480: the grocery images where they are, else scikit-learn's two."""
    paths = sorted(GROCERY.glob('*.jpg'))[:count]
    if paths:
        images = [Image.open(path).convert('RGB') for path in paths]
    else:
        from sklearn.datasets import load_sample_images

        images = [Image.fromarray(image) for image in load_sample_images().images] * (count // 6)
    return [encoded(image) for image in images]


def encoded(image):
    """A JPEG of an image, its short side scaled to SIDE."""
    scale = SIDE / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, 'JPEG', quality=QUALITY)
    return out.getvalue()


def ours(data):
    """The decoder that a run uses."""
    return decode.decode(data, SIZE)


def pillow(data, draft=False):
    """Pillow alone, as its own helpers do the same."""
    image = Image.open(io.BytesIO(data))
    if draft:
        image.draft('RGB', (SIZE, SIZE))
    image = ImageOps.exif_transpose(image.convert('RGB'))
    return np.asarray(ImageOps.fit(image, (SIZE, SIZE), Image.Resampling.BILINEAR))


def opencv(data):
    """OpenCV alone, which turns as EXIF says by itself."""
    import cv2

    image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = cv2.resize(
        image[top : top + side, left : left + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA
    )
    return square[..., ::-1]


def seconds(side, files, threads):
    """Of decoding all files."""
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(
            lambda part: [side(data) for data in part], [files[i::16] for i in range(16)]
        ):
            pass
    return time.perf_counter() - began


def main():
    """Prints images a second and the medians of the ratios, round by round."""
    warnings.simplefilter('ignore')
    files = photographs()
    sides = {
        'ours': ours,
        'pillow, draft': lambda data: pillow(data, draft=True),
        'pillow': pillow,
        'opencv': opencv,
    }
    if 'cv2' not in decode.list_decoders():
        del sides['opencv']
    mean = sum(map(len, files)) / len(files) / 1024
    print(
        f'{len(files)} JPEGs of {mean:.0f} KiB, {SIDE} -> {SIZE} px; {decode.describe_decoder()}; '
        f'{machine.usable_cores()} cores'
    )
    for threads in (1, THREADS):
        taken = {name: [] for name in sides}
        for number in range(ROUNDS + 1):
            for name, side in sides.items():
                elapsed = seconds(side, files, threads)
                if number:  # the first round warms up
                    taken[name].append(elapsed)
        for name, times in taken.items():
            ratio = statistics.median(b / a for a, b in zip(taken['ours'], times, strict=True))
            rate = len(files) / statistics.median(times)
            print(f'{threads} threads  {name:14} {rate:6.0f} images/s  ours is {ratio:.2f}x')


if __name__ == '__main__':
    main()
