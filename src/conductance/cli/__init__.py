"""The command line: one file for each command, named after it, and `app`, which finds and runs them."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command. An error that the user can correct is printed as one line, with exit status 2.

    Args:
        arguments: the words after ``conductance``; those of this process where left out.
    """
    from conductance.cli.interruption import interruptible  # first, so that Ctrl-C is handled from the start

    with interruptible():
        from conductance.cli.app import dispatch

        dispatch(arguments)


__all__ = ["main"]
