"""Becomes a given program, which the kernel then ends when the process that started it ends, whatever ends that.

Run as a script: `python -I -S die_with_parent.py PARENT_PID PROGRAM ARGUMENT...`. It execs, so the process keeps its
id. Why a program of its own: the request (prctl's PR_SET_PDEATHSIG, Linux) has to be made in the child, and running
Python between fork and exec can hang where the parent has threads.

A hazard for who starts it: the kernel means the *thread* that forked. Start children from a thread that lives as
long as the process, such as the main one.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, make sure that the parent had not ended before, and exec."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit(f"the parent, {parent}, has ended")
    os.execv(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
