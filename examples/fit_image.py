"""Ask a running service for the initialisation that suits a picture, then train with a loop of one's own.

make serve                                # or any other service; its key, if it has keys, in VI3NR_API_KEY
python examples/fit_image.py photo.png
"""

import argparse
import io
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from service.client import Client
from vi3nr import INR, image_signal, psnr


def main() -> None:
    """Search, tell the answer, train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--side", type=int, default=96, help="pixels that the picture is made small to")
    asked = parser.parse_args()

    picture = Image.open(asked.picture).convert("RGB").resize((asked.side, asked.side))
    signal, png = image_signal(np.asarray(picture)), io.BytesIO()
    picture.save(png, "PNG")
    with Client(asked.url, os.environ.get("VI3NR_API_KEY")) as client:
        study = client.start({
            "dataset_id": client.upload((asked.picture.name, png.getvalue())).id,
            "activations": [{"family": "gaussian"}],
            "network": {"width": asked.width, "hidden_layers": 3},
            "training": {"steps": asked.steps},
            "search": {"trials": asked.trials},
        })  # fmt: skip
        client.wait(study.id)
        found = client.best(study.id).families[0]
    config, rate = found.winner.init_config, found.winner.learning_rate
    print(f"{found.trials} trials; the winner is {found.winner.name}, sigma_a {config.sigma_a:.3g}")

    network = INR.from_config(config, seed=0)
    x, y = torch.tensor(signal.coordinates), torch.tensor(signal.values)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(asked.steps):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(network(x), y).backward()
        optimiser.step()
    print(f"trained here: {psnr(network(x).detach().numpy(), signal.values):.1f} dB")


if __name__ == "__main__":
    main()
