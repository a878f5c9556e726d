"""Train a saved init config beside PyTorch's default initialisation with plain PyTorch, and draw both.

    python examples/compare.py vi3nr-demo/best-gaussian.json --output comparison.png

The picture is the demo's: skimage.data.chelsea, 96x96. Columns: original, PyTorch's default at the family's customary
sigma_a, the saved config. Below: the error, five times enlarged.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from vi3nr import INR, InitConfig
from vi3nr.activations import activation, families
from vi3nr.baselines import baseline_config
from vi3nr.metrics import psnr
from vi3nr.signals import Signal, image_signal

SIDE, SCALE = 96, 3


def photograph() -> Signal:
    """The middle of the cat's portrait."""
    picture = Image.fromarray(data.chelsea())
    left = (picture.width - picture.height) // 2
    picture = picture.crop((left, 0, left + picture.height, picture.height))
    return image_signal(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)))


def fit(config: InitConfig, signal: Signal, steps: int, rate: float) -> np.ndarray:
    """The network's values after ``steps`` full-batch Adam steps from seed 0, (points, channels)."""
    network = INR.from_config(config, seed=0)
    x, y = torch.tensor(signal.coordinates), torch.tensor(signal.values)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(network(x), y).backward()
        optimiser.step()
    with torch.no_grad():
        return network(x).numpy()


def draw(signal: Signal, fits: dict[str, np.ndarray]) -> Image.Image:
    """Original and fits in a row, their errors below."""
    size, margin = SIDE * SCALE, 26
    sheet = Image.new("RGB", ((len(fits) + 1) * (size + 8) - 8, 2 * size + margin + 8), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    columns = {"original": signal.values} | fits
    for place, (label, values) in enumerate(columns.items()):
        left = place * (size + 8)
        pen.text((left + 2, 4), label, "black", font)
        sheet.paste(_enlarged(signal.to_pixels(values)), (left, margin))
        if place > 0:
            error = signal.to_pixels(5 * np.abs(values - signal.values) - 1)
            sheet.paste(_enlarged(error), (left, margin + size + 8))
    pen.text((4, margin + size + 16), "right: the error, five times enlarged", "black", font)
    return sheet


def _enlarged(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels).resize((SIDE * SCALE, SIDE * SCALE), Image.Resampling.NEAREST)


def main() -> None:
    """Train both and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", help="a config that `vi3nr demo` or `vi3nr search` saved")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--output", default="comparison.png")
    arguments = parser.parse_args()
    found = InitConfig.from_json(Path(arguments.config).read_text())
    family = families()[found.family]
    usual = baseline_config("pytorch_default", activation(found.family, family.customary_sigma_a[-1]), found.widths)
    signal = photograph()
    fits = {}
    for label, config in (("PyTorch's default", usual), ("found", found)):
        values = fit(config, signal, arguments.steps, family.learning_rate)
        fits[f"{label}: {psnr(values, signal.values):.1f} dB"] = values
        print(label, f"{psnr(values, signal.values):.2f} dB")
    draw(signal, fits).save(arguments.output)


if __name__ == "__main__":
    main()
