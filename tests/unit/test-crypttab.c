/* crypttab: what an entry says in either dialect, what is warned about, what is refused and why. */
#include "base/err.h"
#include "base/log.h"
#include "scratch.h"
#include "storage/crypttab.h"

#include <limits.h>

/* What the last find() logged. */
static char said[4096];

static int find_bytes(struct crypttab_entry **ret, const char *text, size_t size, const char *name, struct err *err)
{
        int saved = dup(STDERR_FILENO), file = open(scratch_path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), r;
        char *exact = malloc(size);
        ssize_t n;

        /* Nothing stands behind the last byte, which the address sanitizer watches. */
        ck_assert(exact || size == 0);
        if (size > 0)
                memcpy(exact, text, size);
        ck_assert(saved >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
        r = crypttab_find_text(ret, "tab", exact, size, name, err);
        free(exact);
        fflush(stderr);
        ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
        n = pread(file, said, sizeof(said) - 1, 0);
        ck_assert_int_ge(n, 0);
        said[n] = '\0';
        ck_assert(close(saved) == 0 && close(file) == 0);
        return r;
}

static struct crypttab_entry *find(const char *text, const char *name)
{
        struct crypttab_entry *e = NULL;
        struct err err = { .kind = ERR_NONE };

        ck_assert_msg(find_bytes(&e, text, strlen(text), name, &err) == 0, "%s: %s; %s", text, err.text, err.hint);
        ck_assert_str_eq(e->name, name);
        return e;
}

/* The entry of a disk with nothing but these options. */
static struct crypttab_entry *with(const char *options)
{
        char text[1024];

        snprintf(text, sizeof(text), "disk /dev/sdz1 none %s\n", options);
        return find(text, "disk");
}

static struct crypttab_entry *quietly_with(const char *options)
{
        struct crypttab_entry *e = with(options);

        ck_assert_msg(!said[0], "%s: %s", options, said);
        return e;
}

static struct err refused(const char *text, const char *name, const char *message)
{
        struct crypttab_entry *e = NULL;
        struct err err = { .kind = ERR_NONE };

        ck_assert_msg(find_bytes(&e, text, strlen(text), name, &err) == -EINVAL, "%s", text);
        ck_assert_ptr_null(e);
        ck_assert_int_eq(err.kind, ERR_USAGE);
        ck_assert_msg(str_starts(err.text, message), "%s: '%s', expected '%s'", text, err.text, message);
        return err;
}

static struct err refused_with(const char *options, const char *message)
{
        char text[1024], expected[512];

        snprintf(text, sizeof(text), "# a comment\ndisk /dev/sdz1 none %s\n", options);
        snprintf(expected, sizeof(expected), "tab:2: %s", message);
        return refused(text, "disk", expected);
}

#define ENTRY _cleanup_(crypttab_entry_freep) struct crypttab_entry *

/* ---- lines and fields ---- */

START_TEST(an_entry_of_two_fields_has_defaults)
{
        ENTRY e = find("backup UUID=1234-abcd", "backup");

        ck_assert_str_eq(e->source, "UUID=1234-abcd");
        ck_assert_ptr_null(e->key.path);
        ck_assert_ptr_null(e->key.device);
        ck_assert_int_eq(e->type, CRYPTTAB_LUKS);
        ck_assert(!e->read_only && !e->discard && !e->same_cpu_crypt && !e->submit_from_crypt_cpus);
        ck_assert(!e->no_read_workqueue && !e->no_write_workqueue && !e->headless);
        ck_assert_uint_eq(e->tries, 3);
        ck_assert_uint_eq(e->timeout_s, 0);
        ck_assert_uint_eq(e->keyfile_size, 0);
        ck_assert_uint_eq(e->keyfile_offset, 0);
        ck_assert_uint_eq(e->keyfile_timeout_s, 0);
        ck_assert_int_eq(e->key_slot, -1);
        ck_assert_ptr_null(e->header.path);
        ck_assert(!e->tpm2 && !e->fido2 && !e->pkcs11);
        ck_assert_uint_eq(e->token_timeout_s, 30);
        ck_assert(!e->cipher && !e->hash && !e->key_bits && !e->offset && !e->skip && !e->sector_size);
        ck_assert(!e->tcrypt_hidden && !e->tcrypt_system && !e->tcrypt_veracrypt && !e->veracrypt_pim);
        ck_assert_uint_eq(e->tcrypt_keyfile_count, 0);
        ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(blanks_and_comments_are_as_loose_as_in_the_dialects)
{
        static const char *const texts[] = {
                "disk /dev/sdz1 /key discard",
                "disk /dev/sdz1 /key discard\n",
                "disk /dev/sdz1 /key discard\r\n",
                "\n\n \t \n# disk /dev/sda none\n   #disk /dev/sdb none\n\t disk\t\t/dev/sdz1 \t/key   discard \t\n",
                "disk /dev/sdz1 /key discard # the blue one\n",
                "disk /dev/sdz1 /key discard #\n",
                "disk /dev/sdz1 /key , ,discard,,\n",
                "other\ndisk /dev/sdz1 /key discard",
                "\vdisk\f/dev/sdz1\r/key\v\fdiscard\v\n",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                ENTRY e = find(texts[i], "disk");

                ck_assert_str_eq(e->source, "/dev/sdz1");
                ck_assert_str_eq(e->key.path, "/key");
                ck_assert_msg(e->discard, "%s", texts[i]);
                ck_assert_str_eq(said, "");
        }
}
END_TEST

START_TEST(a_comment_ends_the_line_after_any_field)
{
        ENTRY two = find("disk /dev/sdz1 # /key discard\n", "disk");
        ENTRY three = find("disk /dev/sdz1 /ke#y # discard\n", "disk");

        ck_assert_ptr_null(two->key.path);
        ck_assert_str_eq(three->key.path, "/ke#y");
        ck_assert(!two->discard && !three->discard);
}
END_TEST

START_TEST(octal_escapes_are_decoded_in_all_fields)
{
        ENTRY e = find("my\\040disk /dev/disk/by-label/a\\x20b\\054\\\\c /k\\0145y\\04012 "
                       "cipher=a\\054b\\,c\\\\,hash=\\0162\n",
                       "my disk");

        ck_assert_str_eq(e->source, "/dev/disk/by-label/a\\x20b,\\\\c");
        ck_assert_str_eq(e->key.path, "/key 12");
        ck_assert_str_eq(e->cipher, "a,b,c\\");
        ck_assert_str_eq(e->hash, "r");
}
END_TEST

START_TEST(an_escape_is_one_byte_and_ends_with_the_field)
{
        ENTRY e = find("disk /\\0137\\01234\\0377\\0400 /\\ cipher=a\\", "disk");

        ck_assert_str_eq(e->source, "/_S4\xff"
                                    " 0");
        ck_assert_str_eq(e->key.path, "/\\");
        ck_assert_str_eq(e->cipher, "a\\");
        refused("disk /dev/x\\0", "disk", "tab:1: a field holds a NUL byte");
        refused("disk /dev/x\\08", "disk", "tab:1: a field holds a NUL byte");
        refused("disk /dev/x - luks,cipher=x\\0", "disk", "tab:1: an option holds a NUL byte");
}
END_TEST

START_TEST(commas_of_escapes_do_not_separate)
{
        ENTRY e = quietly_with("plain,cipher=a\\0054b,tcrypt-keyfile=/x\\,y");

        ck_assert_str_eq(e->cipher, "a,b");
        ck_assert_uint_eq(e->tcrypt_keyfile_count, 1);
        ck_assert_str_eq(e->tcrypt_keyfiles[0], "/x,y");
}
END_TEST

START_TEST(sources_are_paths_or_tags)
{
        static const char *const sources[][2] = {
                { "/dev/sdz1", "/dev/sdz1" },
                { "/srv/image", "/srv/image" },
                { "/dev/disk/by-id/usb-a:b-part1", "/dev/disk/by-id/usb-a:b-part1" },
                { "UUID=aa-bb", "UUID=aa-bb" },
                { "UUID=\"aa-bb\"", "UUID=aa-bb" },
                { "UUID='aa-bb'", "UUID=aa-bb" },
                { "PARTUUID=x", "PARTUUID=x" },
                { "LABEL=the\\040disk", "LABEL=the disk" },
                { "LABEL=it's", "LABEL=it's" },
                { "PARTLABEL=\"x\"", "PARTLABEL=x" },
                { "ID=usb-x", "ID=usb-x" },
        };
        char text[128];

        for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
                snprintf(text, sizeof(text), "disk %s\n", sources[i][0]);
                ENTRY e = find(text, "disk");

                ck_assert_str_eq(e->source, sources[i][1]);
        }
}
END_TEST

START_TEST(sources_that_are_no_device_are_refused)
{
        static const char *const sources[] = { "sdz1",    "dev/sdz1",  "-",          "none",
                                               "UUID=",   "UUID=\"\"", "UUID=\"a b", "UUID='a",
                                               "UUID=\"", "XUUID=a",   "\"UUID=a\"", "UUI" };
        char text[128];

        for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
                snprintf(text, sizeof(text), "\ndisk %s none luks\n", sources[i]);
                struct err err = refused(text, "disk", "tab:2: the source device of 'disk' is neither");

                ck_assert_ptr_nonnull(strstr(err.hint, "\\040"));
        }
}
END_TEST

START_TEST(keys_are_files_here_or_on_another_device)
{
        static const char *const keys[][3] = {
                { "none", NULL, NULL },
                { "-", NULL, NULL },
                { "/etc/keys/x", "/etc/keys/x", NULL },
                { "/dev/null", "/dev/null", NULL },
                { "/key:UUID=1-2", "/key", "UUID=1-2" },
                { "/key:UUID=\"1-2\"", "/key", "UUID=1-2" },
                { "/a/key:LABEL=my\\040stick", "/a/key", "LABEL=my stick" },
                { "/key:PARTLABEL=a:b", "/key", "PARTLABEL=a:b" },
                { "/a:b:PARTUUID=1", "/a:b", "PARTUUID=1" },
                { "/key:/dev/disk/by-path/pci-0:1:2", "/key", "/dev/disk/by-path/pci-0:1:2" },
                { "/with:colon", "/with:colon", NULL },
                { "/with:/colon", "/with:/colon", NULL },
                { "/ends:", "/ends:", NULL },
        };
        char text[128];

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                for (unsigned header = 0; header < 2; header++) {
                        snprintf(text, sizeof(text), header ? "disk UUID=1 none header=%s" : "disk UUID=1 %s",
                                 keys[i][0]);
                        if (header && !keys[i][1])
                                continue;
                        ENTRY e = find(text, "disk");
                        struct crypttab_file *file = header ? &e->header : &e->key;

                        ck_assert_pstr_eq(file->path, keys[i][1]);
                        ck_assert_pstr_eq(file->device, keys[i][2]);
                }
        }
}
END_TEST

START_TEST(keys_that_cannot_be_are_refused)
{
        refused("disk UUID=1 key\n", "disk", "tab:1: the key file of 'disk' is not an absolute path: 'key'");
        refused("disk UUID=1 key:UUID=2\n", "disk", "tab:1: the key file of 'disk' is not");
        refused("disk UUID=1 :UUID=2\n", "disk", "tab:1: the key file of 'disk' is not");
        refused("disk UUID=1 /key:UUID=\n", "disk", "tab:1: the key file of 'disk' is not");
        refused("disk UUID=1 /dev/urandom plain\n", "disk",
                "tab:1: 'disk' has another key each time (/dev/urandom) and cannot hold backups");
        refused("disk UUID=1 /dev/hwrng plain\n", "disk", "tab:1: 'disk' has another key each time");
}
END_TEST

/* ---- which line ---- */

START_TEST(lines_of_others_are_not_judged)
{
        static const char text[] =
                "a\nb nonsense key keyscript=/x,size=7\n\\0 x\n\"\nc\\0 /dev/sda\n\xff\xfe /dev/sdb\n"
                "tmp /dev/sdc /dev/urandom tmp\ndisk /dev/sdz1\nz";
        ENTRY e = find(text, "disk");

        ck_assert_str_eq(e->source, "/dev/sdz1");
        ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(the_first_entry_of_a_name_is_taken)
{
        ENTRY e = find("disk /dev/sda\nother /dev/sdb\ndis\\0153 /dev/sdc\n", "disk");

        ck_assert_str_eq(e->source, "/dev/sda");
        ck_assert_str_eq(said,
                         "warning: tab:3: a further entry of the name 'disk' is ignored; that of line 1 is taken\n");
}
END_TEST

START_TEST(an_entry_without_source_is_passed_over_for_a_whole_one)
{
        ENTRY e = find("disk\ndisk #/dev/sda\n\ndisk /dev/sdc\n", "disk");

        ck_assert_str_eq(e->source, "/dev/sdc");
        ck_assert_str_eq(said, "warning: tab:1: the entry 'disk' has no source device; that of line 4 is taken\n");
}
END_TEST

START_TEST(an_entry_without_source_is_refused_with_its_line)
{
        refused("a /dev/sda\n\ndisk\nb /dev/sdb\ndisk", "disk", "tab:3: the entry 'disk' has no source device");
}
END_TEST

START_TEST(a_missing_entry_tells_those_that_there_are)
{
        struct err err = refused("a /dev/sda\n# b /dev/sdb\nc\\040d /dev/sdc\nbad\\0\n\x1b[31m x\n", "disk",
                                 "there is no entry 'disk' in 'tab'");

        ck_assert_str_eq(err.hint, "there are a, c d, \\033[31m");
        err = refused("", "disk", "there is no entry 'disk' in 'tab'");
        ck_assert_str_eq(err.hint, "it has no entries at all");
        err = refused("a /dev/sda", "", "there is no entry '' in 'tab'");
        err = refused("Disk /dev/sda", "disk", "there is no entry 'disk' in 'tab'");
}
END_TEST

START_TEST(of_many_entries_some_are_told)
{
        static char text[100000];
        size_t at = 0;
        struct err err;

        for (unsigned i = 0; i < 1000; i++)
                at += (size_t)snprintf(text + at, sizeof(text) - at, "a-name-with-a-number-%u /dev/sda\n", i);
        err = refused(text, "disk", "there is no entry 'disk'");
        ck_assert(str_starts(err.hint, "there are a-name-with-a-number-0, a-name-with-a-number-1, "));
        ck_assert_ptr_nonnull(strstr(err.hint, " and 990 more"));
}
END_TEST

START_TEST(names_must_be_file_names)
{
        char name[200], text[300];

        memset(name, 'x', 128);
        name[128] = '\0';
        snprintf(text, sizeof(text), "%s /dev/sda", name);
        refused(text, name, "tab:1: the name is longer than 127 bytes");
        snprintf(text, sizeof(text), "%s /dev/sda", name + 1);
        ENTRY e = find(text, name + 1);

        ck_assert_str_eq(e->source, "/dev/sda");
        refused("a/b /dev/sda", "a/b", "tab:1: 'a/b' is not a file name");
        refused(".. /dev/sda", "..", "tab:1: '..' is not a file name");
        refused(". /dev/sda", ".", "tab:1: '.' is not a file name");
}
END_TEST

START_TEST(text_may_hold_anything)
{
        static const char nul_in_source[] = "a\0b /dev/sda\ndisk /dev/s\0da none\n";
        static const char nul_in_key[] = "disk /dev/sda /k\0ey\n";
        static const char nul_in_options[] = "disk /dev/sda /key lu\0ks\n";
        static const char nul_in_another[] = "di\0sk /dev/sda\ndisk\0 /dev/sdb\ndisk /dev/sdc\n\0\0\n\0";
        struct crypttab_entry *e = NULL;
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(find_bytes(&e, nul_in_source, sizeof(nul_in_source) - 1, "disk", &err), -EINVAL);
        ck_assert_str_eq(err.text, "tab:2: a field holds a NUL byte");
        err_clear(&err);
        ck_assert_int_eq(find_bytes(&e, nul_in_key, sizeof(nul_in_key) - 1, "disk", &err), -EINVAL);
        ck_assert_str_eq(err.text, "tab:1: a field holds a NUL byte");
        err_clear(&err);
        ck_assert_int_eq(find_bytes(&e, nul_in_options, sizeof(nul_in_options) - 1, "disk", &err), -EINVAL);
        ck_assert_str_eq(err.text, "tab:1: an option holds a NUL byte");
        err_clear(&err);
        ck_assert_int_eq(find_bytes(&e, nul_in_another, sizeof(nul_in_another) - 1, "disk", &err), 0);
        ck_assert_str_eq(e->source, "/dev/sdc");
        crypttab_entry_free(e);
        refused("disk /dev/s\\0da", "disk", "tab:1: a field holds a NUL byte");
        refused("disk /dev/sda /key luks,cipher=\\0", "disk", "tab:1: an option holds a NUL byte");
}
END_TEST

START_TEST(lines_may_be_long)
{
        enum { LENGTH = 900000 };
        char *text = malloc(LENGTH + 64);
        size_t at = 0;

        ck_assert_ptr_nonnull(text);
        memset(text, 'x', LENGTH / 3);
        at = LENGTH / 3;
        at += (size_t)sprintf(text + at, " /dev/sda\ndisk /dev/sdz1 none cipher=");
        memset(text + at, 'c', LENGTH / 3);
        at += LENGTH / 3;
        at += (size_t)sprintf(text + at, ",discard");
        text[at] = '\0';
        ENTRY e = find(text, "disk");

        ck_assert_uint_eq(strlen(e->cipher), LENGTH / 3);
        ck_assert(e->discard);
        free(text);
}
END_TEST

/* ---- options ---- */

START_TEST(flags_are_taken_in_both_dialects)
{
        static const struct {
                const char *option;
                size_t offset;
        } flags[] = {
                { "discard", offsetof(struct crypttab_entry, discard) },
                { "allow-discards", offsetof(struct crypttab_entry, discard) },
                { "read-only", offsetof(struct crypttab_entry, read_only) },
                { "readonly", offsetof(struct crypttab_entry, read_only) },
                { "same-cpu-crypt", offsetof(struct crypttab_entry, same_cpu_crypt) },
                { "submit-from-crypt-cpus", offsetof(struct crypttab_entry, submit_from_crypt_cpus) },
                { "no-read-workqueue", offsetof(struct crypttab_entry, no_read_workqueue) },
                { "no-write-workqueue", offsetof(struct crypttab_entry, no_write_workqueue) },
                { "headless", offsetof(struct crypttab_entry, headless) },
                { "headless=yes", offsetof(struct crypttab_entry, headless) },
                { "headless=no,headless=1", offsetof(struct crypttab_entry, headless) },
                { "tpm2-device=auto", offsetof(struct crypttab_entry, tpm2) },
                { "tpm2-device=/dev/tpmrm0", offsetof(struct crypttab_entry, tpm2) },
                { "fido2-device=auto", offsetof(struct crypttab_entry, fido2) },
                { "pkcs11-uri=pkcs11:a;b=c", offsetof(struct crypttab_entry, pkcs11) },
                { "tcrypt-hidden", offsetof(struct crypttab_entry, tcrypt_hidden) },
                { "tcrypthidden", offsetof(struct crypttab_entry, tcrypt_hidden) },
                { "tcrypt-system", offsetof(struct crypttab_entry, tcrypt_system) },
                { "tcrypt-veracrypt", offsetof(struct crypttab_entry, tcrypt_veracrypt) },
                { "veracrypt", offsetof(struct crypttab_entry, tcrypt_veracrypt) },
        };
        static const size_t all[] = { offsetof(struct crypttab_entry, discard),
                                      offsetof(struct crypttab_entry, read_only),
                                      offsetof(struct crypttab_entry, same_cpu_crypt),
                                      offsetof(struct crypttab_entry, submit_from_crypt_cpus),
                                      offsetof(struct crypttab_entry, no_read_workqueue),
                                      offsetof(struct crypttab_entry, no_write_workqueue),
                                      offsetof(struct crypttab_entry, headless),
                                      offsetof(struct crypttab_entry, tpm2),
                                      offsetof(struct crypttab_entry, fido2),
                                      offsetof(struct crypttab_entry, pkcs11),
                                      offsetof(struct crypttab_entry, tcrypt_hidden),
                                      offsetof(struct crypttab_entry, tcrypt_system),
                                      offsetof(struct crypttab_entry, tcrypt_veracrypt) };

        for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
                ENTRY e = quietly_with(flags[i].option);

                for (size_t j = 0; j < ARRAY_SIZE(all); j++)
                        ck_assert_msg(*((bool *)e + all[j]) == (all[j] == flags[i].offset), "%s", flags[i].option);
        }
        ENTRY e = quietly_with("headless,headless=no");

        ck_assert(!e->headless);
}
END_TEST

START_TEST(numbers_are_taken)
{
        ENTRY e = quietly_with("tries=7,keyfile-size=4294967295,keyfile-offset=0x200,key-slot=31,size=512,offset=2048,"
                               "skip=36028797018963967,sector-size=4096,veracrypt-pim=485,plain,cipher=aes-xts-plain64,"
                               "hash=sha256");
        ENTRY again = quietly_with("tries=0,keyslot=0,keyfile-size=0,key-slot=1,tries=1,sector-size=512,luks");

        ck_assert_uint_eq(e->tries, 7);
        ck_assert_uint_eq(e->keyfile_size, UINT32_MAX);
        ck_assert_uint_eq(e->keyfile_offset, 512);
        ck_assert_int_eq(e->key_slot, 31);
        ck_assert_uint_eq(e->key_bits, 512);
        ck_assert_uint_eq(e->offset, 2048);
        ck_assert_uint_eq(e->skip, UINT64_MAX / 512);
        ck_assert_uint_eq(e->sector_size, 4096);
        ck_assert_uint_eq(e->veracrypt_pim, 485);
        ck_assert_int_eq(e->type, CRYPTTAB_PLAIN);
        ck_assert_str_eq(e->cipher, "aes-xts-plain64");
        ck_assert_str_eq(e->hash, "sha256");
        ck_assert_uint_eq(again->tries, 1);
        ck_assert_int_eq(again->key_slot, 1);
        ck_assert_uint_eq(again->sector_size, 512);
}
END_TEST

START_TEST(numbers_out_of_range_are_refused)
{
        static const char *const ranges[] = {
                "tries=4294967296",
                "keyfile-size=4294967296",
                "keyfile-offset=9223372036854775808",
                "key-slot=32",
                "keyslot=18446744073709551616",
                "size=0",
                "size=4104",
                "offset=36028797018963968",
                "skip=99999999999999999999999",
                "sector-size=256",
                "sector-size=8192",
                "veracrypt-pim=2147469",
        };
        static const char *const words[] = { "tries=",   "tries=x",         "tries=-1",    "tries=+1",
                                             "tries=3x", "key-slot=-1",     "key-slot=08", "size=1.5",
                                             "skip=0x",  "keyfile-size=4K", "tries= 3" };
        char message[128];

        for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
                snprintf(message, sizeof(message), "%s is not between ", ranges[i]);
                refused_with(ranges[i], message);
        }
        refused_with("tries=", "tries= has no value");
        for (size_t i = 1; i < ARRAY_SIZE(words); i++) {
                snprintf(message, sizeof(message), "%s is not a number", words[i]);
                refused_with(words[i], message);
        }
        refused_with("size=129", "size=129 is not a multiple of 8");
        refused_with("sector-size=1536", "sector-size=1536 is not a power of 2");
        refused_with("headless=perhaps", "headless=perhaps is neither yes nor no");
        refused_with("tries=\x1b[m", "tries=\\033[m is not a number");
}
END_TEST

START_TEST(spans_are_as_systemd_writes_them)
{
        static const struct {
                const char *text;
                unsigned seconds;
        } spans[] = {
                { "30", 30 },        { "30s", 30 },
                { "1min", 60 },      { "1min 30s", 90 },
                { "1min30s", 90 },   { "1min 30", 90 },
                { "2 min", 120 },    { "1h", 3600 },
                { "1.5h", 5400 },    { ".5min", 30 },
                { "5.s", 5 },        { "1hr 1m 1sec", 3661 },
                { "1d", 86400 },     { "2weeks", 1209600 },
                { "1M", 2629800 },   { "1y", 31557600 },
                { "500ms", 1 },      { "1001ms", 2 },
                { "1us", 1 },        { "1\xc2\xb5s", 1 },
                { "1\xce\xbcs", 1 }, { "0", 0 },
                { "0s", 0 },         { "infinity", 0 },
                { "00030", 30 },     { "136y", 4291833600 },
                { "1\\040min", 60 }, { "3seconds", 3 },
        };
        char option[64];

        for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
                snprintf(option, sizeof(option), "timeout=%s,token-timeout=%s,discard", spans[i].text, spans[i].text);
                ENTRY e = quietly_with(option);

                ck_assert_msg(e->timeout_s == spans[i].seconds, "%s: %u", spans[i].text, e->timeout_s);
                ck_assert_uint_eq(e->token_timeout_s, spans[i].seconds);
                ck_assert_uint_eq(e->keyfile_timeout_s, 0);
                ck_assert(e->discard);
        }
        ENTRY e = quietly_with("keyfile-timeout=90s");
        ENTRY forever = quietly_with("keyfile-timeout=infinity");

        ck_assert_uint_eq(e->keyfile_timeout_s, 90);
        ck_assert_uint_eq(e->timeout_s, 0);
        ck_assert_uint_eq(forever->keyfile_timeout_s, UINT_MAX);
}
END_TEST

START_TEST(spans_that_are_none_are_refused)
{
        static const char *const words[] = { "x", "1x", "-1", "1 min s", ".", "s", "1minn", "infinityx", "1e3" };
        static const char *const long_ones[] = { "137y", "4294967295", "18446744073709551616", "99999999999999999999y",
                                                 "100y 100y" };
        char option[64], message[128];

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                snprintf(option, sizeof(option), "timeout=%s", words[i]);
                snprintf(message, sizeof(message), "timeout=%s is not a time span", words[i]);
                refused_with(option, message);
        }
        for (size_t i = 0; i < ARRAY_SIZE(long_ones); i++) {
                snprintf(option, sizeof(option), "keyfile-timeout=%s", long_ones[i]);
                snprintf(message, sizeof(message), "keyfile-timeout=%s is too long", long_ones[i]);
                refused_with(option, message);
        }
        refused_with("token-timeout=", "token-timeout= has no value");
        refused_with("timeout", "timeout= has no value");
}
END_TEST

START_TEST(options_that_need_a_value_are_refused_without)
{
        static const char *const names[] = { "cipher",      "hash",       "size",         "header",   "tcrypt-keyfile",
                                             "tpm2-device", "pkcs11-uri", "fido2-device", "key-slot", "keyfile-size" };
        char option[64], message[64];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                snprintf(message, sizeof(message), "%s= has no value", names[i]);
                refused_with(names[i], message);
                snprintf(option, sizeof(option), "luks,%s=,discard", names[i]);
                refused_with(option, message);
        }
}
END_TEST

START_TEST(types_are_named_or_implied)
{
        static const struct {
                const char *options;
                enum crypttab_type type;
        } types[] = {
                { "", CRYPTTAB_LUKS },
                { "-", CRYPTTAB_LUKS },
                { "none", CRYPTTAB_LUKS },
                { "luks", CRYPTTAB_LUKS },
                { "luks,luks", CRYPTTAB_LUKS },
                { "key-slot=1", CRYPTTAB_LUKS },
                { "header=/h", CRYPTTAB_LUKS },
                { "luks,cipher=x,hash=y,size=256", CRYPTTAB_LUKS },
                { "luks,veracrypt", CRYPTTAB_LUKS },
                { "plain", CRYPTTAB_PLAIN },
                { "plain,tcrypt-hidden", CRYPTTAB_PLAIN },
                { "tcrypt", CRYPTTAB_TCRYPT },
                { "tcrypt-hidden", CRYPTTAB_TCRYPT },
                { "tcrypthidden", CRYPTTAB_TCRYPT },
                { "tcrypt-system", CRYPTTAB_TCRYPT },
                { "veracrypt", CRYPTTAB_TCRYPT },
                { "tcrypt-veracrypt", CRYPTTAB_TCRYPT },
                { "tcrypt-keyfile=/k", CRYPTTAB_TCRYPT },
                { "tcrypt,header=/h", CRYPTTAB_TCRYPT },
        };

        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                ENTRY e = quietly_with(types[i].options);

                ck_assert_msg(e->type == types[i].type, "%s", types[i].options);
        }
        static const char *const of_plain[] = { "cipher=aes-cbc-essiv:sha256", "hash=sha256", "size=256" };

        for (size_t i = 0; i < ARRAY_SIZE(of_plain); i++) {
                ENTRY e = with(of_plain[i]);

                ck_assert_int_eq(e->type, CRYPTTAB_LUKS);
                ck_assert(str_starts(said, "warning: tab:1: 'disk' is taken for luks, "));
        }
        refused_with("luks,plain", "'disk' is of one type only");
        refused_with("tcrypt,plain", "'disk' is of one type only");
        refused_with("plain,header=/h", "a plain device has no header");
        refused_with("bitlk", "bitlk is not supported");
        refused_with("fvault2", "fvault2 is not supported");
}
END_TEST

START_TEST(files_among_the_options_are_taken)
{
        ENTRY e = quietly_with("tcrypt-keyfile=/a,tcrypt-keyfile=/b:UUID=1,tcrypt-keyfile=/a,header=/h:UUID=2");

        ck_assert_uint_eq(e->tcrypt_keyfile_count, 3);
        ck_assert_str_eq(e->tcrypt_keyfiles[0], "/a");
        ck_assert_str_eq(e->tcrypt_keyfiles[1], "/b:UUID=1");
        ck_assert_str_eq(e->tcrypt_keyfiles[2], "/a");
        ck_assert_str_eq(e->header.path, "/h");
        ck_assert_str_eq(e->header.device, "UUID=2");
        refused_with("header=h", "header=h is not an absolute path");
        refused_with("header=/a,header=/b", "header= is given twice");
        refused_with("tcrypt-keyfile=k", "tcrypt-keyfile=k is not an absolute path");
}
END_TEST

START_TEST(options_for_the_boot_mean_nothing)
{
        ENTRY e = quietly_with(
                "noauto,auto,nofail,fail,_netdev,x-initrd.attach,x-systemd.device-timeout=10s,x-,initramfs,"
                "noearly,loud,quiet,verify,password-echo=masked,password-cache=yes,tpm2-pin=yes,"
                "tpm2-pcrs=7,tpm2-signature=/s,tpm2-pcrlock=/l,noauto=1");

        ck_assert_int_eq(e->type, CRYPTTAB_LUKS);
        ck_assert_uint_eq(e->timeout_s, 0);
}
END_TEST

START_TEST(unknown_options_are_named_in_one_warning)
{
        ENTRY e = with("luks,frobnicate,discard,level=3,Luks,luks=yes,bitlk=1,discard=no,tries=5,a\x1b[m,no auto");

        ck_assert_str_eq(said, "warning: tab:1: unknown options of 'disk' are ignored: "
                               "frobnicate, level=3, Luks, luks=yes, bitlk=1, discard=no, a\\033[m, no auto\n");
        ck_assert(e->discard);
        ck_assert_uint_eq(e->tries, 5);
}
END_TEST

START_TEST(options_without_effect_are_named_in_a_warning)
{
        ENTRY e =
                with("luks,check=ext4,checkargs=x,keyfile-erase,try-empty-password=yes,fido2-cid=secret,fido2-rp=x,"
                     "fido2-pin=1,fido2-up=1,fido2-uv=1,fixate-volume-key=x,link-volume-key=@u::x,tpm2-measure-bank=x,"
                     "tpm2-measure-keyslot-nvpcr=x,tpm2-measure-pcr=15");

        ck_assert_str_eq(said, "warning: tab:1: options of 'disk' that have no effect here: "
                               "check, checkargs, keyfile-erase, try-empty-password, fido2-cid, fido2-rp, fido2-pin, "
                               "fido2-up, fido2-uv, fixate-volume-key, link-volume-key, tpm2-measure-bank, "
                               "tpm2-measure-keyslot-nvpcr, tpm2-measure-pcr\n");
        ck_assert(!e->fido2);
}
END_TEST

START_TEST(scripts_are_refused_with_a_way_out)
{
        struct err err = refused_with("luks,keyscript=/lib/cryptsetup/scripts/decrypt_keyctl",
                                      "keyscript= is a program to be executed for the key of 'disk', and nothing is "
                                      "executed here");

        ck_assert_str_eq(err.hint, "use a key file, or systemd's LoadCredential=rsync-system-backup.disk:FILE, or a "
                                   "passphrase that an ask-password agent answers");
        refused("disk /dev/sdz1 argument keyscript=x\n", "disk", "tab:1: keyscript= is a program");
}
END_TEST

START_TEST(what_is_made_anew_is_refused)
{
        refused_with("tmp", "'disk' is made anew each time (tmp) and cannot hold backups");
        refused_with("plain,tmp=ext4", "'disk' is made anew each time (tmp) and cannot hold backups");
        refused("disk /dev/sdz1 /dev/urandom swap,cipher=x\n", "disk",
                "tab:1: 'disk' is made anew each time (swap) and cannot hold backups");
}
END_TEST

/* ---- the file ---- */

START_TEST(a_file_is_read)
{
        static const char text[] = "# none\n\ndisk UUID=1 none luks,discard";
        _cleanup_(crypttab_entry_freep) struct crypttab_entry *e = NULL;
        struct err err = { .kind = ERR_NONE };
        int dirfd = scratch_directory();
        char path[64];

        scratch_file(dirfd, "crypttab", text, strlen(text));
        snprintf(path, sizeof(path), "/proc/self/fd/%d/crypttab", dirfd);
        ck_assert_int_eq(crypttab_find(&e, path, "disk", &err), 0);
        ck_assert_str_eq(e->source, "UUID=1");
        ck_assert(e->discard);
        close(dirfd);
}
END_TEST

START_TEST(a_file_may_be_empty_or_large)
{
        enum { LARGE = 1024 * 1024 };
        static const char entry[] = "disk UUID=1";
        struct crypttab_entry *e = NULL;
        struct err err = { .kind = ERR_NONE };
        int dirfd = scratch_directory();
        char path[64], *large = malloc(LARGE);

        ck_assert_ptr_nonnull(large);
        memset(large, '\n', LARGE);
        memcpy(large + LARGE - strlen(entry), entry, strlen(entry));
        scratch_file(dirfd, "large", large, LARGE);
        scratch_file(dirfd, "empty", "", 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d/empty", dirfd);
        ck_assert_int_eq(crypttab_find(&e, path, "disk", &err), -EINVAL);
        ck_assert_str_eq(err.hint, "it has no entries at all");
        err_clear(&err);
        snprintf(path, sizeof(path), "/proc/self/fd/%d/large", dirfd);
        ck_assert_int_eq(crypttab_find(&e, path, "disk", &err), 0);
        ck_assert_str_eq(e->source, "UUID=1");
        crypttab_entry_free(e);
        free(large);
        close(dirfd);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_told)
{
        enum { LARGE = 1024 * 1024 + 1 };
        struct crypttab_entry *e = NULL;
        struct err err = { .kind = ERR_NONE };
        int dirfd = scratch_directory();
        char path[64], *large = calloc(1, LARGE);

        ck_assert_ptr_nonnull(large);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
        ck_assert_int_eq(crypttab_find(&e, "/nonexistent/crypttab", "disk", &err), -ENOENT);
        ck_assert_str_eq(err.text, "cannot open '/nonexistent/crypttab': No such file or directory");
        ck_assert_int_eq(err.kind, ERR_USAGE);
        ck_assert_ptr_nonnull(strstr(err.hint, "crypttab(5)"));
        err_clear(&err);
        ck_assert_int_eq(crypttab_find(&e, path, "disk", &err), -EISDIR);
        ck_assert(str_starts(err.text, "cannot read '/proc/self/fd/"));
        ck_assert_int_eq(err.kind, ERR_USAGE);
        err_clear(&err);
        scratch_file(dirfd, "large", large, LARGE);
        snprintf(path, sizeof(path), "/proc/self/fd/%d/large", dirfd);
        ck_assert_int_eq(crypttab_find(&e, path, "disk", &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, "larger than 1 MiB"));
        ck_assert_ptr_null(e);
        free(large);
        close(dirfd);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                an_entry_of_two_fields_has_defaults,
                blanks_and_comments_are_as_loose_as_in_the_dialects,
                a_comment_ends_the_line_after_any_field,
                octal_escapes_are_decoded_in_all_fields,
                an_escape_is_one_byte_and_ends_with_the_field,
                commas_of_escapes_do_not_separate,
                sources_are_paths_or_tags,
                sources_that_are_no_device_are_refused,
                keys_are_files_here_or_on_another_device,
                keys_that_cannot_be_are_refused,
                lines_of_others_are_not_judged,
                the_first_entry_of_a_name_is_taken,
                an_entry_without_source_is_passed_over_for_a_whole_one,
                an_entry_without_source_is_refused_with_its_line,
                a_missing_entry_tells_those_that_there_are,
                of_many_entries_some_are_told,
                names_must_be_file_names,
                text_may_hold_anything,
                lines_may_be_long,
                flags_are_taken_in_both_dialects,
                numbers_are_taken,
                numbers_out_of_range_are_refused,
                spans_are_as_systemd_writes_them,
                spans_that_are_none_are_refused,
                options_that_need_a_value_are_refused_without,
                types_are_named_or_implied,
                files_among_the_options_are_taken,
                options_for_the_boot_mean_nothing,
                unknown_options_are_named_in_one_warning,
                options_without_effect_are_named_in_a_warning,
                scripts_are_refused_with_a_way_out,
                what_is_made_anew_is_refused,
                a_file_is_read,
                a_file_may_be_empty_or_large,
                a_file_that_cannot_be_read_is_told,
        };

        log_init("test-crypttab", LOG_LEVEL_WARNING);
        return scratch_run("crypttab", tests, ARRAY_SIZE(tests));
}
