"""What every script shares: bad input ends in one clear line and a non-zero exit status."""

import sys
from collections.abc import Callable


def run(main: Callable[[], None]) -> None:
    """Run a script's ``main``; errors that the user can mend become one line on stderr and exit status 1.

    Anything else is a bug of ours and keeps its traceback.
    """
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
