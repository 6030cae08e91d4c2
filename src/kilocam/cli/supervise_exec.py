"""The last steps before a child runs: die with the supervisor, drop rights, step aside.

Standard library only: for programs that are not ours this file runs as a script of its own,
`python -I -S supervise_exec.py PARENT NICE USER PROGRAM [ARGUMENT ...]`, and becomes PROGRAM.
Nothing is done between fork and exec of the supervisor (no `preexec_fn`), which is unsafe there.
"""

import ctypes
import os
import pwd
import signal
import sys

_PR_SET_PDEATHSIG = 1
_NOT_STARTED = 127


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process as soon as `parent` is gone, however it went.

    The kernel sends the signal when the parent's *thread* that started us ends, so the supervisor
    starts children from its main thread only. A parent that died before this call is noticed by
    our parent's id having changed; so there is no moment without cover (prctl(2)).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    if os.getppid() != parent:
        sys.exit(f"started by process {parent}, which is gone")


def become(user: str) -> None:
    """Change to `user` for good; must come before `die_with_parent`, which it would undo."""
    entry = pwd.getpwnam(user)
    if os.geteuid() == entry.pw_uid:
        return
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main(arguments: list[str]) -> None:
    """Become the program; on failure one line on standard error and status 127."""
    parent, nice, user, *command = arguments
    try:
        os.nice(int(nice))
        if user:
            become(user)
        die_with_parent(int(parent))
        # Python ignores these, and what is ignored stays so across exec.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.execve(command[0], command, os.environ)  # noqa: S606 - no shell is the point
    except KeyError:
        print(f"{command[0]}: no user {user!r} on this machine", file=sys.stderr)  # noqa: T201
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
    sys.exit(_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
