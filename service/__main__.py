"""``python -m service`` is ``vi3nr``."""

from service.cli import main

main()
