"""``python -m mattis``."""

from .cli import main

raise SystemExit(main())
