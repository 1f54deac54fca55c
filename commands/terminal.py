"""Where commands write, and how they tell an error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from serving.errors import Interrupted, ToldByAnother, UserError
from serving.files import explain as explain_file_error

out = Console()
err = Console(stderr=True)

CTRL_C = 130
STOPPED = "\nstopped; repeat the command to resume what was interrupted"


@contextmanager
def readable_errors() -> Iterator[None]:
    """Print a UserError, and what a file system refuses, without a traceback and exit with status 1."""
    try:
        yield
    except Interrupted as error:
        err.print(f"\n{escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(error.status)
    except ToldByAnother as error:
        sys.exit(error.status)
    except Exception as error:
        message = str(error) if isinstance(error, UserError) else explain_file_error(error)
        if message is None:
            raise
        err.print(f"[red]error[/]  {escape(message)}", soft_wrap=True, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print(STOPPED)
        sys.exit(CTRL_C)
    except SystemExit as ending:  # Typer makes it of a KeyboardInterrupt, and says nothing
        if ending.code == CTRL_C:
            err.print(STOPPED)
        raise
