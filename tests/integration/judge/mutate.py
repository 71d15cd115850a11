"""Random changes of every kind to a torture tree.

Each mutation is a method that is listed in MUTATIONS with its weight; it picks its own victims and raises Unfit when it
finds none. One line per change goes to standard output, so that a failing round can be understood from its log.

What size, mtime and ctime cannot tell is not done by accident: files have mtimes of their own, so that two directories
that are swapped do not bring a file of the same name, size and mtime, whose ctime is old.
"""
import contextlib
import os
import random
import shutil
import stat
import subprocess
import time

import make
import tree
from tree import inside, set_mtime, show

KINDS = ("file", "dir", "symlink", "fifo", "socket", "char", "block")
COPY_MAX = 8 << 20  # larger files are not copied or rewritten
# Directories in there stay in there: the first is too long for rsync, which leaves it out.
FENCED = (b"beyond-path-max", b"deep")
LONGEST = 1500  # bytes of a path that directories are moved to elsewhere, for the same reason


class Unfit(Exception):
    """This mutation does not go with what was picked."""


class Pick:
    """An entry of the tree: where it is and what lstat says of it now."""

    def __init__(self, path, st):
        self.path, self.st = path, st
        self.parent, self.name = path[:-1], path[-1] if path else b"."
        self.kind = tree.kind(st)


class Mutator:
    def __init__(self, seed, privileged):
        self.random = random.Random(seed)
        self.maker = make.Maker("mutate %d" % seed, "small", privileged, 3000)
        self.privileged = privileged
        self.rooms = {}     # top-level name -> paths below it, so that the widest directory does not get all the changes
        self.groups = []    # paths that share an inode
        self.serial = 0

    # What there is to change.

    def survey(self):
        members = {}
        for path, st, _ in tree.walk():
            self.rooms.setdefault(path[:1], []).append(path)
            if st.st_nlink > 1 and not stat.S_ISDIR(st.st_mode):
                members.setdefault(st.st_ino, []).append(path)
        self.groups = sorted(paths for paths in members.values() if len(paths) > 1)

    def remember(self, path):
        self.rooms.setdefault(path[:1], []).append(path)

    def lookup(self, path):
        try:
            with inside(*path[:-1]):
                return Pick(path, os.lstat(path[-1] if path else b"."))
        except (FileNotFoundError, NotADirectoryError, PermissionError, OSError):
            return None

    def pick(self, *kinds, within=None, nonroot=True):
        """A random entry of one of these kinds (any if none) that exists at this moment."""
        for _ in range(300):
            room = within if within is not None else self.random.choice(sorted(self.rooms))
            found = self.lookup(self.random.choice(self.rooms[room]))
            if found and (not kinds or found.kind in kinds) and (found.path or not nonroot):
                return found
        raise Unfit

    def copyable(self, pick):
        if pick.kind == "file" and pick.st.st_size > COPY_MAX:
            raise Unfit
        return pick

    def new_name(self):
        self.serial += 1
        stem = self.random.choice((b"new", b"a", b"z", b"\xff", b"new line\n", b"-"))
        return stem + b"-%d-%x" % (self.serial, self.random.getrandbits(32))

    # Touching things as root or as their owner.

    @contextlib.contextmanager
    def writable(self, *names):
        """Give an ordinary user write permission on these names of the working directory for a while."""
        if self.privileged:
            yield
            return
        changed = []
        for name in names:
            st = os.lstat(name)
            wanted = st.st_mode | (0o700 if stat.S_ISDIR(st.st_mode) else 0o600)
            if not stat.S_ISLNK(st.st_mode) and wanted != st.st_mode:
                os.chmod(name, stat.S_IMODE(wanted))
                changed.append((name, st))
        try:
            yield
        finally:
            for name, st in changed:
                with contextlib.suppress(FileNotFoundError):
                    now = os.lstat(name)
                    if now.st_ino == st.st_ino:
                        os.chmod(name, stat.S_IMODE(st.st_mode))

    @contextlib.contextmanager
    def at(self, path):
        """Work in a directory whose names can be changed."""
        with inside(*path), self.writable(b"."):
            yield

    @contextlib.contextmanager
    def opened(self, pick, flags=os.O_RDWR):
        with inside(*pick.parent), self.writable(pick.name):
            fd = os.open(pick.name, flags | os.O_NOFOLLOW)
            try:
                yield fd
            finally:
                os.close(fd)

    def remove(self, name):
        if not self.privileged and stat.S_ISDIR(os.lstat(name).st_mode):
            subprocess.run([b"chmod", b"-R", b"u+rwX", b"--", b"./" + name], check=True)
        subprocess.run([b"rm", b"-rf", b"--", b"./" + name], check=True)

    def create(self, name, kind):
        """Make something new of this kind; a directory gets something inside."""
        if kind == "file":
            self.maker.file(name, None, self.random.choice((0o644, 0o600, 0o4755, 0o400)))
        elif kind == "dir":
            self.maker.directory(name)
            with inside(name):
                self.maker.one_of_each()
                os.link(b"file", b"dir/link")
                self.maker.set_xattr(b"file", "user.new", b"1")
        elif kind == "symlink":
            os.symlink(b"target-%d" % self.random.getrandbits(20), name)
        elif kind == "fifo":
            os.mkfifo(name)
        elif kind == "socket":
            os.mknod(name, stat.S_IFSOCK | 0o600)
        elif not self.privileged:
            raise Unfit
        else:
            self.maker.device(name, stat.S_IFCHR if kind == "char" else stat.S_IFBLK, self.random.randrange(256),
                              self.random.randrange(256))

    def say(self, what, pick, more=""):
        print(what, show(b"/".join(pick.path) or b"."), more)

    # Content.

    def written(self, fd):
        """A new mtime, finer than the kernel's clock, and also where a hole changes it not (tmpfs)."""
        os.utime(fd, ns=(0, time.time_ns() + self.random.randrange(10**8)))

    def rewrite(self):
        pick = self.copyable(self.pick("file"))
        with self.opened(pick, os.O_WRONLY | os.O_TRUNC) as fd:
            os.write(fd, self.random.randbytes(self.random.choice((0, 1, 100, 4096, 100000))))
            self.written(fd)
        self.say("rewrite", pick)

    def overwrite(self, restore):
        pick = self.pick("file")
        if not pick.st.st_size:
            raise Unfit
        with self.opened(pick) as fd:
            offset = self.random.randrange(pick.st.st_size)
            old = os.pread(fd, 1, offset)
            os.pwrite(fd, bytes([old[0] ^ 0x55]), offset)
            if restore:
                os.utime(fd, ns=(pick.st.st_mtime_ns, pick.st.st_mtime_ns))
        self.say("overwrite", pick, "with the old mtime" if restore else "")

    def overwrite_seen(self):
        self.overwrite(False)

    def overwrite_hidden(self):
        self.overwrite(True)

    def append(self):
        pick = self.pick("file")
        with self.opened(pick) as fd:
            os.pwrite(fd, self.random.randbytes(self.random.choice((1, 1000, 70000))), pick.st.st_size)
        self.say("append", pick)

    def truncate(self):
        pick = self.pick("file")
        size = pick.st.st_size
        with self.opened(pick) as fd:
            os.ftruncate(fd, self.random.choice((0, size // 2, max(size - 1, 0), size + 1, size + 200000)))
        self.say("truncate", pick)

    def punch(self):
        pick = self.pick("file")
        if pick.st.st_size < 8192:
            raise Unfit
        with self.opened(pick) as fd:
            try:
                tree.punch_hole(fd, 4096 * self.random.randrange(pick.st.st_size // 4096), 8192)
            except OSError as error:
                raise Unfit from error
            self.written(fd)
        self.say("punch", pick)

    def fill(self):
        """Zeros where a hole was: the same bytes, another map, a new mtime."""
        pick = self.pick("file")
        with self.opened(pick) as fd:
            if not pick.st.st_size:
                raise Unfit
            hole = os.lseek(fd, 0, os.SEEK_HOLE)
            if hole >= pick.st.st_size:
                raise Unfit
            os.pwrite(fd, bytes(min(65536, pick.st.st_size - hole)), hole)
            self.written(fd)
        self.say("fill", pick)

    # Metadata.

    def chmod(self):
        pick = self.pick("file", "dir", "fifo", "socket", "char", "block", nonroot=False)
        mode = self.random.choice((0o644, 0o600, 0o755, 0o700, 0o4755, 0o2755, 0o1777, 0o444, 0o500, 0o6711, 0, 0o007))
        if not self.privileged:
            mode |= 0o500 if pick.kind == "dir" else 0o400
        with inside(*pick.parent):
            os.chmod(pick.name, mode)
        self.say("chmod", pick, "%04o" % mode)

    def chown(self):
        if not self.privileged:
            raise Unfit
        pick = self.pick(nonroot=False)
        uid, gid = self.random.choice((0, 1, 1000, 65534, 3000000000)), self.random.choice((-1, 0, 5, 4000000000))
        with inside(*pick.parent):
            os.chown(pick.name, uid, gid, follow_symlinks=False)
        self.say("chown", pick, "%d:%d" % (uid, gid))

    def set_acl(self):
        pick = self.pick("file", "dir", "fifo", "dir")
        perms = self.random.choices(range(8), k=6)
        if not self.privileged:
            perms[0] |= 5
        which = self.random.choice(("access", "default")) if pick.kind == "dir" else "access"
        value = tree.acl(perms[0], perms[1], perms[2], users=((self.random.randrange(1, 99999), perms[3]),),
                         groups=((self.random.randrange(1, 99999), perms[4]),), mask=perms[5])
        with inside(*pick.parent):
            self.maker.set_acl(pick.name, value, which)
        self.say("set ACL", pick, which)

    def remove_acl(self):
        pick = self.pick("file", "dir", "fifo", "socket", "char", "block",
                         within=self.random.choice([room for room in sorted(self.rooms) if room != (b"wide-directory",)]))
        with inside(*pick.parent):
            held = [name for name in tree.xattrs(pick.name) if name.startswith("system.posix_acl")]
            if not held:
                raise Unfit
            os.removexattr(pick.name, self.random.choice(held), follow_symlinks=False)
        self.say("remove ACL", pick)

    def set_xattr(self):
        pick = self.pick("file", "dir", *(("symlink", "fifo", "char") if self.privileged else ()), nonroot=False)
        spaces = ["trusted.", "security."] if self.privileged else []
        spaces += ["user."] * 3 if pick.kind in ("file", "dir") else []
        name = self.random.choice(spaces) + self.random.choice(("a", "b", "new"))
        with inside(*pick.parent), self.writable(pick.name):
            self.maker.set_xattr(pick.name, name, self.random.randbytes(self.random.choice((0, 1, 20, 400))))
        self.say("set xattr", pick, name)

    def change_xattr(self, drop=False):
        pick = self.pick("file", "dir", "symlink", "fifo", "char", "block", "socket", nonroot=False,
                         within=self.random.choice([room for room in sorted(self.rooms) if room != (b"wide-directory",)]))
        with inside(*pick.parent), self.writable(pick.name):
            held = {name: value for name, value in tree.xattrs(pick.name).items()
                    if not name.startswith(("system.", "security.capability", "trusted.SGI_ACL"))}
            if not held:
                raise Unfit
            name = self.random.choice(sorted(held))
            if drop:
                os.removexattr(pick.name, name, follow_symlinks=False)
            else:  # the same length, if it has one
                os.setxattr(pick.name, name, self.random.randbytes(len(held[name]) or 1), follow_symlinks=False)
        self.say("remove xattr" if drop else "change xattr", pick, ascii(name))

    def remove_xattr(self):
        self.change_xattr(drop=True)

    def capability(self):
        if not self.privileged:
            raise Unfit
        pick = self.pick("file")
        with inside(*pick.parent):
            self.maker.set_xattr(pick.name, "security.capability", tree.capability(1 << self.random.randrange(38)))
        self.say("set capability", pick)

    def touch(self):
        pick = self.pick(nonroot=False)
        mtime = self.random.choice((pick.st.st_mtime_ns + 1, pick.st.st_mtime_ns - 10**9,
                                    self.random.randrange(-10**18, 8 * 10**18)))
        with inside(*pick.parent):
            set_mtime(pick.name, mtime)
        self.say("touch", pick, str(mtime))

    # Names.

    def fenced(self, old, parent):
        """Refuse to move a directory where paths get too long."""
        fences = [path[0] if path and path[0] in FENCED else None for path in (old, parent)]
        if fences[0] != fences[1] or (not fences[0] and len(b"/".join(parent)) > LONGEST):
            raise Unfit

    def move(self, old, parent, name):
        """Rename the entry to parent/name, replacing what is there."""
        if parent[:len(old.path)] == old.path or not old.path:
            raise Unfit
        with self.at(old.parent):
            source = os.open(b".", os.O_PATH | os.O_DIRECTORY)
            try:
                with contextlib.ExitStack() as stack:
                    if not self.privileged and old.kind == "dir":
                        stack.enter_context(self.moving_directory(old.name))
                    here = os.open(b".", os.O_PATH | os.O_DIRECTORY)
                    stack.callback(os.close, here)
                    os.fchdir(self.root)
                    try:
                        with self.at(parent):
                            os.rename(old.name, name, src_dir_fd=source)
                    finally:
                        os.fchdir(here)
            finally:
                os.close(source)
        self.remember((*parent, name))

    @contextlib.contextmanager
    def moving_directory(self, name):
        """A directory that its owner may not write cannot change parents."""
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        try:
            os.fchmod(fd, mode | 0o700)
            yield
        finally:
            os.fchmod(fd, mode)
            os.close(fd)

    def rename(self):
        old = self.pick()
        parent = self.pick("dir", nonroot=False).path if self.random.random() < 0.5 else old.parent
        if not old.parent and old.name in FENCED:
            raise Unfit
        if old.kind == "dir":
            self.fenced(old.path, parent)
        name = self.new_name()
        self.move(old, parent, name)
        self.say("rename", old, "to " + show(b"/".join((*parent, name))))

    def rename_over(self):
        """Onto another name of the same kind, which goes."""
        old = self.pick("file", "dir", "symlink")
        new = self.pick(old.kind)
        if new.path[:len(old.path)] == old.path or old.path[:len(new.path)] == new.path or len(new.path) < 2:
            raise Unfit
        if old.kind == "dir":
            self.fenced(old.path, new.path)
        with self.at(new.parent):
            self.remove(new.name)
        self.move(old, new.parent, new.name)
        self.say("rename", old, "over " + show(b"/".join(new.path)))

    def wrap(self):
        """A directory becomes the child of what was its child, and the child takes its name."""
        pick = self.pick("dir")
        if len(pick.path) < 2 or pick.path[0] in FENCED:
            raise Unfit
        with inside(*pick.path):
            below = [name for name in sorted(os.listdir(b"."))
                     if stat.S_ISDIR(os.lstat(name).st_mode) and not os.path.lexists(name + b"/" + name)]
        if not below:
            raise Unfit
        child, spare = self.random.choice(below), self.new_name()
        self.move(self.lookup((*pick.path, child)), pick.parent, spare)
        self.move(self.lookup(pick.path), (*pick.parent, spare), child)
        self.move(self.lookup((*pick.parent, spare)), pick.parent, pick.name)
        self.say("wrap", pick, "into " + show(child))

    def swap(self, kind):
        one, two = self.pick(kind), self.pick(kind)
        if one.path[:len(two.path)] == two.path or two.path[:len(one.path)] == one.path:
            raise Unfit
        if min(len(one.path), len(two.path)) < 2:
            raise Unfit
        if kind == "dir":
            self.fenced(one.path, two.path)
            self.fenced(two.path, one.path)
        spare = self.new_name()
        self.move(one, one.parent, spare)
        self.move(two, one.parent, one.name)
        self.move(self.lookup((*one.parent, spare)), two.parent, two.name)
        self.say("swap", one, "and " + show(b"/".join(two.path)))

    def swap_files(self):
        self.swap("file")

    def swap_directories(self):
        self.swap("dir")

    def change_type(self):
        pick = self.pick()
        if len(pick.path) < 2:
            raise Unfit
        kind = self.random.choice([kind for kind in KINDS if kind != pick.kind])
        with self.at(pick.parent):
            if kind in ("char", "block") and not self.privileged:
                raise Unfit
            self.remove(pick.name)
            self.create(pick.name, kind)
            if self.random.random() < 0.3:
                set_mtime(pick.name, pick.st.st_mtime_ns)
        self.say("change type of", pick, "from %s to %s" % (pick.kind, kind))

    def delete(self):
        pick = self.pick()
        if len(pick.path) < 2 or (pick.kind == "dir" and pick.path[0] in FENCED and self.random.random() < 0.9):
            raise Unfit
        with self.at(pick.parent):
            self.remove(pick.name)
        self.say("delete", pick)

    def new(self):
        parent = self.pick("dir", nonroot=False)
        name, kind = self.new_name(), self.random.choice(KINDS)
        with self.at(parent.path):
            self.create(name, kind)
        self.remember((*parent.path, name))
        self.say("new %s in" % kind, parent, show(name))

    def retarget(self):
        """Another target of the same length, sometimes with the old mtime."""
        pick = self.pick("symlink")
        with self.at(pick.parent):
            target = os.readlink(pick.name)
            os.unlink(pick.name)
            os.symlink(target[:-1] + (b"x" if target[-1:] != b"x" else b"y"), pick.name)
            if self.random.random() < 0.5:
                set_mtime(pick.name, pick.st.st_mtime_ns)
        self.say("retarget", pick)

    # Hard links.

    def link_to(self, pick, parent, name):
        """Make parent/name a link to the entry, replacing what is there."""
        with inside(*pick.parent):
            source = os.open(b".", os.O_PATH | os.O_DIRECTORY)
        try:
            with self.at(parent):
                spare = self.new_name()
                os.link(pick.name, spare, src_dir_fd=source, follow_symlinks=False)
                os.rename(spare, name)
                if os.path.lexists(spare):  # both were links to one inode already: rename does nothing then
                    os.unlink(spare)
        finally:
            os.close(source)

    def link(self):
        pick = self.pick("file", "file", "file", "symlink", "fifo", "socket", "char", "block")
        parent, name = self.pick("dir"), self.new_name()
        self.link_to(pick, parent.path, name)
        self.remember((*parent.path, name))
        self.groups.append([pick.path, (*parent.path, name)])
        self.say("link", pick, "as " + show(b"/".join((*parent.path, name))))

    def merge(self):
        """Two names with contents of their own become links of one."""
        one, two = self.pick("file"), self.pick("file")
        self.link_to(one, two.parent, two.name)
        self.say("merge", one, "with " + show(b"/".join(two.path)))

    def member(self, position=None):
        """A name that shares its inode with another, known or first of its group."""
        for _ in range(100):
            if not self.groups:
                break
            group = self.random.choice(self.groups)
            found = self.lookup(group[0] if position == 0 else self.random.choice(group))
            if found and found.st.st_nlink > 1 and found.kind != "dir":
                return found
        raise Unfit

    def duplicate(self, pick):
        """Give the name an inode of its own that is equal in everything."""
        spare = self.new_name()
        with self.at(pick.parent):
            with self.writable(pick.name):
                attributes = tree.xattrs(pick.name)
                shutil.copyfile(pick.name, spare)
            if self.privileged:
                os.chown(spare, pick.st.st_uid, pick.st.st_gid)
            with contextlib.suppress(OSError):  # what the directory's default ACL left there
                os.removexattr(spare, "system.posix_acl_access")
            os.chmod(spare, 0o600)
            for name, value in reversed(attributes.items()):  # the ACL after user.*, which need write permission
                if not name.startswith("trusted.SGI_ACL"):
                    os.setxattr(spare, name, value)
            os.chmod(spare, stat.S_IMODE(pick.st.st_mode))
            set_mtime(spare, pick.st.st_mtime_ns)
            os.rename(spare, pick.name)

    def split(self):
        pick = self.copyable(self.member())
        if pick.kind != "file":
            raise Unfit
        self.duplicate(pick)
        self.say("split", pick)

    def split_group(self):
        """Half of a group go to a second inode: no name is left alone, all have more links than one."""
        if not self.groups:
            raise Unfit
        group = [found for found in map(self.lookup, self.random.choice(self.groups)) if found and found.kind == "file"]
        group = [found for found in group if found.st.st_ino == group[0].st.st_ino]
        if len(group) < 4 or group[0].st.st_size > COPY_MAX:
            raise Unfit
        leader, *others = self.random.sample(group, len(group) // 2)
        self.duplicate(leader)
        for other in others:
            self.link_to(leader, other.parent, other.name)
        self.say("split group of", leader, "%d of %d" % (1 + len(others), len(group)))

    def drop_leader(self):
        """The first of a group goes or moves away, the others stay."""
        pick = self.member(0)
        if self.random.random() < 0.5:
            with self.at(pick.parent):
                os.unlink(pick.name)
            self.say("drop leader", pick)
        else:
            self.move(pick, pick.parent, self.new_name())
            self.say("rename leader", pick)

    MUTATIONS = {
        rewrite: 4, overwrite_seen: 3, overwrite_hidden: 4, append: 3, truncate: 3, punch: 2, fill: 2,
        chmod: 4, chown: 4, set_acl: 3, remove_acl: 2, set_xattr: 4, change_xattr: 3, remove_xattr: 2, capability: 1,
        touch: 4, rename: 5, rename_over: 2, wrap: 2, swap_files: 3, swap_directories: 2, change_type: 6, delete: 4,
        new: 5, retarget: 2, link: 4, merge: 3, split: 4, split_group: 2, drop_leader: 3,
    }

    def run(self, root, count):
        os.umask(0o022)
        os.chdir(root)
        self.root = os.open(b".", os.O_PATH | os.O_DIRECTORY)
        self.survey()
        mutations, weights = list(self.MUTATIONS), list(self.MUTATIONS.values())
        done = tried = 0
        while done < count and tried < 100 * count:
            tried += 1
            os.fchdir(self.root)
            try:
                self.random.choices(mutations, weights)[0](self)
                done += 1
            except Unfit:
                pass
