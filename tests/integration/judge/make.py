"""Build the torture tree: everything a backup may meet, in one tree, the same for the same seed."""
import errno
import os
import random
import stat
import sys

import tree
from tree import inside, set_mtime

SIZES = {  # entries of the wide directory, levels of the deep one, files of the random one
    "small": (2000, 500, 300),
    "medium": (5000, 1000, 2000),
    "large": (20000, 2000, 10000),
}
TIB = 1 << 40
REFUSALS = (errno.ENOTSUP, errno.EPERM, errno.EINVAL, errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EFBIG,
            errno.ENAMETOOLONG, errno.EOVERFLOW, errno.EMLINK, errno.EILSEQ)

# Within what ext4 (256-byte inodes) and XFS (bigtime) both hold: 1901-12-14 to 2446.
TIMES = {
    b"1901": -2147480000, b"1960": -315619200, b"before-1970": -1, b"1970": 0, b"2038": 2147483647,
    b"after-2038": 2147483648, b"2100": 4102444800, b"2106": 4294967296, b"2400": 13569465600,
}

NAMES = [
    b" ", b" leading space", b"trailing space ", b"-n", b"--delete", b"-", b"~", b"#x#", b"new\nline", b"tab\there",
    b"\xff\xfeinvalid utf-8\x80", b"caf\xc3\xa9", b"cafe\xcc\x81", b"back\\slash", b"\\", b"\\#012", b"'single'",
    b'"double"', b"`back`", b"$HOME", b"$(id)", b"*", b"?", b"[a-z]", b"[", b"{a,b}", b"!", b"%s%n", b"\x01\x1b[31m\x7f",
    b"\r", b"a:b", b"host:dir", b"...", b"..x", b".hidden", b"x" * 255, b"\xf0\x9f\x92\xbe" * 63, b"\xff" * 255,
    b"con", b"name.", b"a;b", b"a&b", b"a|b", b"<x>", b"\xe2\x80\xaertl",
]

# Names that the program gives to things of its own, beside or inside the destination; here they are anybody's.
RESERVED = [
    b"latest", b"2026-11-21 17:00:00", b"2026-11-21", b".rsync-system-backup", b".rsync-system-backup.new",
    b".rsync-system-backup.trash-1", b".rsync-system-backup.tmp", b".rsync-system-backup.tmp-1", b".file.Xa81bc", b".tmp",
    b"lost+found",
]


class Maker:
    def __init__(self, seed, size, privileged, xattr_max):
        self.random = random.Random(seed)
        self.wide, self.deep, self.many = SIZES[size]
        self.privileged = privileged
        self.xattr_max = xattr_max
        self.noted = set()
        self.clock = 1_600_000_000 * 10**9

    def attempt(self, what, call, *args, **kwargs):
        """Do it if this filesystem and this user can; say once per kind when not."""
        try:
            call(*args, **kwargs)
            return True
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
            if what not in self.noted:
                self.noted.add(what)
                print("torture: left out: %s: %s" % (what, error.strerror), file=sys.stderr)
            return False

    def mtime(self):
        """A time of its own for each file: the kernel's clock ticks too slowly for that."""
        self.clock += self.random.randrange(1, 10**9)
        return self.clock

    def file(self, name, size=None, mode=0o644):
        size = self.random.choice((0, 1, 10, 100, 1000, 5000)) if size is None else size
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(self.random.randbytes(size))
        os.chmod(name, mode)
        set_mtime(name, self.mtime())

    def sparse(self, name, size, pieces):
        """A file of the given size with data only at pieces = [(offset, length)]."""
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.ftruncate(fd, size)
            for offset, length in pieces:
                os.pwrite(fd, self.random.randbytes(length), offset)
            os.utime(fd, ns=(0, self.mtime()))
        finally:
            os.close(fd)

    def directory(self, name, mode=0o755):
        os.mkdir(name, 0o700)
        os.chmod(name, mode)

    def device(self, name, kind, major, minor):
        os.mknod(name, kind | 0o640, os.makedev(major, minor))

    def one_of_each(self):
        """One name per type that this user can make."""
        self.file(b"file", 1234)
        self.directory(b"dir")
        os.symlink(b"file", b"symlink")
        os.mkfifo(b"fifo", 0o640)
        os.mknod(b"socket", stat.S_IFSOCK | 0o600)
        made = [b"file", b"dir", b"symlink", b"fifo", b"socket"]
        if self.privileged:
            self.device(b"char", stat.S_IFCHR, 1, 3)
            self.device(b"block", stat.S_IFBLK, 7, 200)
            made += [b"char", b"block"]
        return made

    def types(self):
        self.one_of_each()
        self.directory(b"empty")
        for name, target in ((b"absolute", b"/etc/passwd"), (b"dangling", b"no/such\nthing"), (b"self", b"self"),
                             (b"dots", b"../../.."), (b"to-dir", b"dir"), (b"long", b"t" * 1000),
                             (b"slash", b"dir/"), (b"bytes", b"\xff\x01 -> x")):
            os.symlink(target, name)
        if self.privileged:
            for major, minor in ((0, 0), (259, 70000), (511, 262143)):
                self.attempt("device numbers", self.device, b"char-%d-%d" % (major, minor), stat.S_IFCHR, major, minor)
            self.device(b"block-8-17", stat.S_IFBLK, 8, 17)

    def modes(self):
        for mode in (0, 0o111, 0o400, 0o444, 0o600, 0o644, 0o755, 0o777, 0o1777, 0o2755, 0o2644, 0o4755, 0o4000, 0o6711,
                     0o7777, 0o500, 0o555, 0o070, 0o007):
            if self.privileged or mode & 0o400:
                self.file(b"file-%o" % mode, 10, mode)
            if not self.privileged and mode & 0o500 != 0o500:
                continue
            self.directory(b"dir-%o" % mode, 0o700)
            with inside(b"dir-%o" % mode):
                self.file(b"inner", 10, mode | 0o400)
                self.directory(b"inner-dir")
            os.chmod(b"dir-%o" % mode, mode)
        os.mkfifo(b"fifo")
        os.chmod(b"fifo", 0o000)
        os.mknod(b"socket", stat.S_IFSOCK | 0o777)

    def owners(self):
        if not self.privileged:
            return
        for uid, gid in ((1, 0), (0, 1), (1000, 1000), (65534, 65534), (12345678, 87654321), (4294967294, 4294967294)):
            with_id = b"%d-%d" % (uid, gid)
            os.mkdir(with_id)
            with inside(with_id):
                for name in self.one_of_each():
                    os.chown(name, uid, gid, follow_symlinks=False)
                self.file(b"suid", 10)
                os.chown(b"suid", uid, gid)
                os.chmod(b"suid", 0o6755)
            os.chown(with_id, uid, gid)

    def times(self):
        for name, seconds in TIMES.items():
            os.mkdir(name)
            mtime = seconds * 10**9 + self.random.choice((0, 1, 999999999, self.random.randrange(10**9)))
            with inside(name):
                for each in self.one_of_each():
                    self.attempt("times beyond the filesystem's", set_mtime, each, mtime)
            set_mtime(name, mtime)

    def set_acl(self, name, value, which="access"):
        self.attempt("ACLs", os.setxattr, name, "system.posix_acl_" + which, value, follow_symlinks=False)

    def acls(self):
        named = tree.acl(7, 5, 0, users=((1, 7), (4242, 4)), groups=((1, 5), (99999, 0)), mask=7)
        masked = tree.acl(6, 7, 4, users=((65534, 7),), mask=0)
        default = tree.acl(7, 7, 5, users=((33, 5),), groups=((44, 3),), mask=5)
        bare_default = tree.acl(7, 0, 0)
        for name in self.one_of_each():
            if name != b"symlink":
                self.set_acl(name, named)
        self.file(b"masked", 10)
        self.set_acl(b"masked", masked)
        self.file(b"suid", 10)
        self.set_acl(b"suid", named)
        os.chmod(b"suid", 0o6755)
        for name, value in ((b"default", default), (b"bare-default", bare_default)):
            os.mkdir(name)
            with inside(name):
                made = self.one_of_each()  # before the default ACL comes: these have none
            self.set_acl(name, value, "default")
            with inside(name):
                os.mkdir(b"inherited")
                self.file(b"inherited-file", 10)
                os.mkdir(b"without")
                self.attempt("ACLs", os.removexattr, b"without", "system.posix_acl_default")
                with inside(b"without"):
                    self.one_of_each()
                if self.privileged:
                    for each in made:
                        os.chown(each, 77, 88, follow_symlinks=False)
            set_mtime(name, 10**18 + len(name))
        self.setgid_directory(default)

    def setgid_directory(self, default):
        """What is inside has other groups, no setgid bit and no ACL, unlike what the directory would hand down."""
        os.mkdir(b"setgid")
        with inside(b"setgid"):
            made = self.one_of_each()
        if self.privileged:
            os.chown(b"setgid", 0, 50)
        os.chmod(b"setgid", 0o2775)
        self.set_acl(b"setgid", default, "default")
        with inside(b"setgid"):
            for number, name in enumerate(made):
                if self.privileged:
                    os.chown(name, 0, 60 + number % 3, follow_symlinks=False)
            os.mkdir(b"plain", 0o755)
            os.chmod(b"plain", 0o755)

    def set_xattr(self, name, attribute, value, what=None):
        self.attempt(what or attribute.split(".")[0] + " xattrs", os.setxattr, name, attribute, value,
                     follow_symlinks=False)

    def xattrs(self):
        for name in (b"file", b"dir"):
            (self.file if name == b"file" else self.directory)(name)
            self.set_xattr(name, "user.empty", b"")
            self.set_xattr(name, "user.zeros", bytes(16))
            self.set_xattr(name, "user.bytes", bytes(range(256)))
            self.set_xattr(name, b"user.\xff\xfe\n".decode("utf-8", "surrogateescape"), b"odd name")
            self.set_xattr(name, "user." + "n" * 250, b"long name")
        for size in sorted({1, 255, 1000, 3000, self.xattr_max}):
            self.file(b"value-%d" % size)
            self.set_xattr(b"value-%d" % size, "user.value", self.random.randbytes(size), "xattrs of %d bytes" % size)
        self.file(b"many")
        for number in range(50):
            self.set_xattr(b"many", "user.number-%02d" % number, b"%d" % number)
        self.file(b"read-only", 100)
        self.set_xattr(b"read-only", "user.kept", b"although its owner may not write")
        os.chmod(b"read-only", 0o400)
        self.directory(b"sticky")
        self.set_xattr(b"sticky", "user.sticky", b"x")
        os.chmod(b"sticky", 0o1777)
        self.directory(b"read-only-dir")
        with inside(b"read-only-dir"):
            self.file(b"inner")
            self.set_xattr(b"inner", "user.inner", b"x")
        self.set_xattr(b"read-only-dir", "user.kept", b"x")
        os.chmod(b"read-only-dir", 0o555)
        if self.privileged:
            self.privileged_xattrs()

    def privileged_xattrs(self):
        os.mkdir(b"privileged")
        with inside(b"privileged"):
            for name in self.one_of_each():
                self.set_xattr(name, "trusted.of." + os.fsdecode(name), b"\x00" + name)
                self.set_xattr(name, "security.selinux", b"system_u:object_r:" + name + b"_t:s0\x00")
            self.file(b"fake-super")
            self.set_xattr(b"fake-super", "user.rsync.%stat", b"100644 0,0 1:1")
            for name, value, mode in ((b"capable", tree.capability(1 << 13), 0o755),
                                      (b"capable-suid", tree.capability(1 << 10, 1 << 39), 0o4755),
                                      (b"capable-in-namespace", tree.capability(1 << 21, rootid=100000), 0o711)):
                self.file(name, 100)
                os.chown(name, 1000, 1000)
                os.chmod(name, mode)
                self.set_xattr(name, "security.capability", value, "capabilities")

    def links(self):
        for name in (b"a", b"b", b"c/d"):
            os.makedirs(name)
        for name in self.one_of_each():
            if name == b"dir":
                continue
            os.link(name, b"b/" + name, follow_symlinks=False)
            os.link(name, b"c/d/" + name, follow_symlinks=False)
        self.file(b"c/leader-comes-last", 3000)
        os.link(b"c/leader-comes-last", b"a/earlier")
        self.file(b"a/fifty", 70000)
        for number in range(1, 50):
            os.link(b"a/fifty", (b"a/", b"b/", b"c/d/")[number % 3] + b"fifty-%02d" % number)
        self.file(b"a/adorned", 500)
        self.set_xattr(b"a/adorned", "user.linked", b"yes")
        self.set_acl(b"a/adorned", tree.acl(6, 4, 0, users=((1, 4),), mask=4))
        os.link(b"a/adorned", b"b/adorned")
        # Twins: the same in everything, and yet not linked.
        for name in (b"a/twin", b"b/twin"):
            with open(name, "wb") as out:
                out.write(b"twin" * 100)
            set_mtime(name, 10**18 + 7)

    def holes(self):
        block = 65536
        self.sparse(b"leading", 5 * block + 100, [(4 * block, block + 100)])
        self.sparse(b"middle", 9 * block, [(0, block), (8 * block, block)])
        self.sparse(b"trailing", 20 * block + 1, [(0, 5000)])
        self.sparse(b"whole", 64 << 20, [])
        self.sparse(b"whole-unaligned", 12345, [])
        self.sparse(b"comb", 128 * 4096, [(offset * 4096, 4096) for offset in range(0, 128, 2)])
        self.sparse(b"one-gib", 1 << 30, [(0, 4096), (512 << 20, 100000), ((1 << 30) - 1, 1)])
        if not self.attempt("a file of 1 TiB", self.sparse, b"one-tib", TIB, [(3 * block, 10), (TIB - 5000, 5000)]):
            os.unlink(b"one-tib")
        with open(b"zeros", "wb") as out:
            out.write(bytes(3 * block))
        with open(b"preallocated", "wb") as out:
            self.attempt("preallocation", os.posix_fallocate, out.fileno(), 0, 4 * block)

    def sizes(self):
        for edge in (4096, 65536, 262144):
            for size in (edge - 1, edge, edge + 1):
                self.file(b"%d" % size, size)
        for size in (0, 1, (1 << 20) + 1):
            self.file(b"%d" % size, size)

    def names(self):
        for name in NAMES:
            self.attempt("odd names", self.file, name)
        os.mkdir(b"dirs")
        with inside(b"dirs"):
            for name in NAMES:
                if self.attempt("odd names", os.mkdir, name):
                    with inside(name):
                        self.file(name)
                        os.symlink(name, b"s")

    def reserved(self):
        for place in (b"files", b"dirs", b"symlinks"):
            os.mkdir(place)
            with inside(place):
                for name in RESERVED:
                    if place == b"files":
                        self.file(name)
                    elif place == b"symlinks":
                        os.symlink(b"2026-11-21", name)
                    else:
                        os.mkdir(name)
                        with inside(name):
                            self.file(b"file")
                            os.mkdir(b"latest")

    def beyond_path_max(self):
        """32 levels of 200 bytes: 6,432 bytes."""
        names = [(b"%02d-" % level) + bytes([97 + level % 26]) * 197 for level in range(32)]
        with inside():
            for name in names:
                os.mkdir(name)
                os.chdir(name)
                self.file(b"beside")
            self.one_of_each()
            os.link(b"file", b"link")
            self.set_xattr(b"file", "user.deep", b"down here")
            self.set_acl(b"dir", tree.acl(7, 5, 0, users=((1, 7),), mask=7), "default")
            self.set_acl(b"file", tree.acl(7, 5, 0, users=((1, 7),), mask=7))
            set_mtime(b"symlink", 10**18)
            for _ in range(3):
                os.link(b"link", b"../link")
                os.chdir(b"..")
            for name in reversed(names[:-3]):
                set_mtime(b".", 10**18 + len(name))
                os.chdir(b"..")

    def deep_chain(self):
        with inside():
            for level in range(self.deep):
                os.mkdir(b"d", self.random.choice((0o755, 0o750, 0o700)))
                os.chdir(b"d")
                if level % 100 == 99:
                    self.file(b"f")

    def wide_directory(self):
        with inside():
            for number in range(self.wide):
                name = b"%x-%d" % (self.random.getrandbits(64), number)
                if number % 20 == 0:
                    os.symlink(b"%d" % number, name)
                elif number % 20 == 1:
                    os.mkdir(name)
                else:
                    self.file(name, self.random.randrange(20))

    def random_tree(self):
        """Ordinary directories, the fodder of later mutations."""
        directories = [b"."]
        for number in range(self.many):
            with inside(self.random.choice(directories)):
                self.file(b"file-%d" % number, self.random.choice((10, 300, 5000, 70000 if number % 10 == 0 else 50)),
                          self.random.choice((0o644, 0o600, 0o755, 0o4755)))
                if self.random.random() < 0.2:
                    self.set_xattr(b"file-%d" % number, "user.n", b"%d" % number)
                if self.random.random() < 0.1:
                    os.link(b"file-%d" % number, b"link-%d" % number)
            if number % 8 == 0:
                parent = self.random.choice(directories[-20:])
                directories.append(parent + b"/dir-%d" % number)
                os.mkdir(directories[-1])
        for directory in directories:
            set_mtime(directory, self.mtime())

    def make(self, root):
        os.umask(0o022)
        rooms = [self.types, self.modes, self.owners, self.times, self.acls, self.xattrs, self.links, self.holes,
                 self.sizes, self.names, self.reserved, self.beyond_path_max, self.wide_directory, self.random_tree]
        with inside(root):
            for room in rooms:
                name = room.__name__.replace("_", "-").encode()
                os.mkdir(name)
                with inside(name):
                    room()
            self.chain_in_its_place()
            for name in RESERVED:
                if not os.path.lexists(name):
                    os.mkdir(name)
                    with inside(name):
                        self.file(b"ordinary")
            self.set_xattr(b".", "user.root", b"of the tree")
            os.chmod(b".", 0o751)
            set_mtime(b".", 1234567890 * 10**9 + 987654321)

    def chain_in_its_place(self):
        """Where rsync, the other judge, can still follow if its paths do not get too long for it."""
        place = [b"deep"] if self.deep <= 1000 else [b"beyond-path-max", b"chain"]
        with inside(*place[:-1]):
            os.mkdir(place[-1])
            with inside(place[-1]):
                self.deep_chain()
