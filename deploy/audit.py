"""Known vulnerabilities among the pinned packages. Usage: ``python deploy/audit.py [OPTION OF PIP-AUDIT ...]``.

Fails with a finding. Where nobody can be asked it says so and passes: ``make check`` must work without network.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 90.0
PATIENCE = "5"  # seconds for one answer


def report(lock: Path, options: list[str]) -> str:
    """What pip-audit says of a lock, as JSON; anything else where it could ask nobody.

    Raises:
        subprocess.TimeoutExpired: it took too long.
    """
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--requirement", str(lock),
               "--format", "json", "--progress-spinner", "off", "--timeout", PATIENCE]  # fmt: skip
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.stdout if done.stdout.strip() else done.stderr


def verdict(said: str) -> tuple[bool, str]:
    """Whether all is well, or nothing is known, and a sentence."""
    try:
        packages = json.loads(said)["dependencies"]
    except (ValueError, KeyError, TypeError):
        words = said.strip().splitlines() or ["it said nothing"]
        return True, f"audit skipped: {words[-1]}"
    asked = [package for package in packages if "vulns" in package]
    found = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'none'}"
        for package in asked
        for hole in package["vulns"]
    ]
    if found:
        return False, "known vulnerabilities:\n" + "\n".join(found)
    if not asked:
        return True, f"audit skipped: of {len(packages)} packages the index knows none"
    return True, f"audited {len(asked)} of {len(packages)} packages: no known vulnerability"


def main() -> None:
    """Ask, and print the verdict."""
    try:
        well, sentence = verdict(report(ROOT / "requirements.lock", sys.argv[1:]))
    except subprocess.TimeoutExpired:
        well, sentence = True, f"audit skipped: no answer within {SECONDS:.0f} s"
    print(sentence)
    sys.exit(not well)


if __name__ == "__main__":
    main()
