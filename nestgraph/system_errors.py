"""What helps against an error of the operating system: the cure fits its number, or there is none.

A full disk is one cause of many. Who is told to free some space where a folder is missing looks
in the wrong place.
"""

from __future__ import annotations

import errno

_ROOM = "free some space, or write elsewhere"
_CURES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "raise the limit on file size, or write elsewhere",
    errno.EACCES: "choose a place that you may use",
    errno.EPERM: "choose a place that you may use",
    errno.EROFS: "choose a place that you may write to",
    errno.ENOENT: "make the folder that it is to be in, or write elsewhere",
    errno.ENOTDIR: "one of the folders on its way is a file; choose another place",
    errno.EEXIST: "choose another name, or take away what has this one",
    errno.EISDIR: "name a file, such as one in that folder",
    errno.ENOTEMPTY: "choose another name, or take away what has this one",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "one of the links on its way leads back to itself; choose another place",
    errno.EINVAL: "choose a name that its file system can hold",
    errno.EILSEQ: "choose a name that its file system can hold",
    errno.EMFILE: "raise the limit on open files (`ulimit -n`)",
    errno.ENFILE: "close some other programs: the system has too many files open",
    errno.EIO: "look whether its disk, or its terminal, is still there",
    errno.ESTALE: "look whether its network folder is still there",
    errno.ETXTBSY: "end the program that runs from it",
    errno.EBUSY: "end the program that uses it",
}


def cure_of(error: OSError) -> str:
    """Return what to do about an error; empty where nothing is known to help."""
    return _CURES.get(error.errno or 0, "")


def cause_of(error: OSError) -> str:
    """Return what the system says, without the file that it says it of: that may be a hidden
    draft.
    """
    return error.strerror or type(error).__name__
