"""The process of one leg: python -m nvc_check.runtimes.process.worker; serving.py says what it answers."""

from __future__ import annotations

import os
import signal
import sys

from nvc_check.runtimes.process.orphan import end_with_parent, leave


def main() -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the checker ends its legs itself
    from nvc_check.runtimes.process.serving import serve  # engines take seconds: the watch comes first

    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what engines print must not land among the messages
    sys.stdin.close()
    serve(requests, replies)
    leave()  # a checker that lives ends its legs itself


if __name__ == "__main__":
    main()
