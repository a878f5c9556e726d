"""The secrets of a deployment as files, made once.

Standard library only: ``python3 -m service.secret_files`` does it on a machine that has nothing else. The folder is its
owner's alone (0700); the files in it may be read by all (0444), since the users of the containers that get them one by
one have other numbers than the owner of the folder.
"""

from __future__ import annotations

import secrets
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["NAMES", "make_secrets"]

NAMES = ("postgres_password", "reader_password", "ray_token")
BYTES = 32  # of randomness, written as hexadecimal digits: no character that a URL, a shell or SQL would quote


def make_secrets(folder: Path) -> list[str]:
    """Write what is missing in ``folder``, and return its names: what is there stays as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = []
    for name in NAMES:
        with suppress(FileExistsError), (folder / name).open("x") as file:  # "x": two at once cannot both write
            file.write(secrets.token_hex(BYTES))
            made.append(name)
        (folder / name).chmod(0o444)
    return made


if __name__ == "__main__":
    target = Path(*sys.argv[1:2] or ["secrets"])
    print(f"{target}: made {', '.join(make_secrets(target)) or 'nothing, all are there'}")
