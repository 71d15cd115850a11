"""What the judges and the torture tree share: walking and touching a tree one component at a time.

The working directory is always the parent of the name in hand, so paths may be longer than PATH_MAX, trees may be
10,000 levels deep, and names are bytes. Single-threaded on purpose: there is one working directory.
"""
import contextlib
import ctypes
import errno
import os
import stat
import struct

LIBC = ctypes.CDLL(None, use_errno=True)

TYPES = {
    stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFCHR: "char",
    stat.S_IFBLK: "block", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
}

_ESCAPES = {c: "\\x%02x" % c for c in range(256) if not 0x20 <= c < 0x7F or c == 0x5C}


def show(name):
    """Bytes as printable ASCII, no two alike."""
    return name.decode("latin-1").translate(_ESCAPES)


def kind(st):
    return TYPES[stat.S_IFMT(st.st_mode)]


@contextlib.contextmanager
def inside(*components):
    """Work in the directory reached by these components from the current one, then return."""
    here = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for component in components:
            os.chdir(component)
        yield
    finally:
        os.fchdir(here)
        os.close(here)


def _names():
    try:
        return sorted(os.listdir(b"."))
    except PermissionError:
        return None


def walk(root=b"."):
    """Yield (components, lstat, listable) for root, as (), and for everything below it, depth first, sorted by name.

    While the caller looks at an entry, the working directory is its parent and the entry's name there is
    components[-1] (for the root it is the root itself and the name is b"."). Does not leave the root's filesystem.
    listable is False for a directory whose names cannot be read; it may be changed or removed while it is in hand.
    """
    with inside(root):
        top = os.lstat(b".")
        names = _names()
        yield (), top, names is not None
        components = []
        levels = [(top, iter(names or ()))]
        while True:
            directory, rest = levels[-1]
            name = next(rest, None)
            if name is None:
                levels.pop()
                if not levels:
                    return
                components.pop()
                os.chdir(b"..")
                back = os.stat(b".")
                if (back.st_dev, back.st_ino) != (levels[-1][0].st_dev, levels[-1][0].st_ino):
                    raise RuntimeError("the tree changed while it was walked: " + show(b"/".join(components)))
                continue
            try:
                st = os.lstat(name)
            except FileNotFoundError:
                continue
            except PermissionError:
                continue  # a directory that may be listed but not searched
            path = (*components, name)
            if not stat.S_ISDIR(st.st_mode) or st.st_dev != top.st_dev:
                yield path, st, True
                continue
            try:
                with inside(name):
                    below = _names()
            except PermissionError:
                below = None
            yield path, st, below is not None
            if below is None:
                continue
            try:
                os.chdir(name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            components.append(name)
            levels.append((st, iter(below)))


def set_mtime(name, mtime_ns):
    os.utime(name, ns=(mtime_ns, mtime_ns), follow_symlinks=False)


def xattrs(name):
    """All extended attributes of the name itself: {name: bytes}; an unreadable value is the error's name."""
    found = {}
    try:
        attributes = os.listxattr(name, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EACCES, errno.EPERM):
            return found
        raise
    for attribute in sorted(attributes):
        try:
            found[attribute] = os.getxattr(name, attribute, follow_symlinks=False)
        except OSError as error:
            if error.errno != errno.ENODATA:
                found[attribute] = errno.errorcode[error.errno].encode()
    return found


def acl(owner, group, other, users=(), groups=(), mask=None):
    """The bytes of system.posix_acl_*: struct posix_acl_xattr_header and entries (linux/posix_acl_xattr.h)."""
    nobody = 0xFFFFFFFF
    entries = [(0x01, owner, nobody)]
    entries += [(0x02, perm, uid) for uid, perm in sorted(users)]
    entries += [(0x04, group, nobody)]
    entries += [(0x08, perm, gid) for gid, perm in sorted(groups)]
    if mask is not None:
        entries += [(0x10, mask, nobody)]
    entries += [(0x20, other, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def capability(permitted, inheritable=0, rootid=None):
    """The bytes of security.capability (linux/capability.h): version 2, or 3 with the root uid of a namespace."""
    low, high = 0xFFFFFFFF, 32
    sets = struct.pack("<IIII", permitted & low, inheritable & low, permitted >> high, inheritable >> high)
    if rootid is None:
        return struct.pack("<I", 0x02000001) + sets
    return struct.pack("<I", 0x03000001) + sets + struct.pack("<I", rootid)


def data_ranges(fd, size):
    """[(start, end)] of what SEEK_DATA/SEEK_HOLE call data."""
    ranges, position = [], 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            raise
        position = os.lseek(fd, start, os.SEEK_HOLE)
        ranges.append((start, min(position, size)))
    return ranges


def punch_hole(fd, offset, length):
    call = LIBC.fallocate
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if call(fd, 0x01 | 0x02, offset, length) != 0:  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
        raise OSError(ctypes.get_errno(), "fallocate")


def sync(root):
    """Have delayed allocation done: until then XFS calls preallocated space data."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        LIBC.syncfs(fd)
    finally:
        os.close(fd)
