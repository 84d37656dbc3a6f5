"""Write the ledger's table into a page: ``python -m sphere_theory.claims README.md``."""

import sys
from pathlib import Path

from sphere_theory.claims.page import with_table

if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
