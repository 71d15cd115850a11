/* Command line, configuration files and environment, and how they are laid over each other. */
#include "base/err.h"
#include "cases.h"
#include "options/config.h"
#include "options/options.h"
#include "rotate/expression.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static char config_file[64], config_option[80];

/* Parse the words of @line, which blanks separate; '_' stands for a blank in a word. "CONFIG" is --config=(the file).
 */
static int parse_line(struct options **ret, const char *line, struct err *err)
{
        char text[512], *words[64] = { NULL }, *save = NULL;
        int count = 0;

        snprintf(text, sizeof(text), "rsync-system-backup %s", line);
        for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                for (char *p = word; *p; p++)
                        *p = *p == '_' ? ' ' : *p;
                words[count++] = str_equal(word, "CONFIG") ? config_option : word;
        }
        return options_parse(ret, count, words, err);
}

static struct options *parsed(const char *line)
{
        struct err err = { .kind = ERR_NONE };
        struct options *o = NULL;

        ck_assert_msg(parse_line(&o, line, &err) == 0, "%s: %s", line, err.text);
        return o;
}

static void check_refused(const char *line, const char *reason)
{
        struct err err = { .kind = ERR_NONE };
        struct options *o = NULL;

        ck_assert_msg(parse_line(&o, line, &err) < 0, "%s was accepted", line);
        ck_assert_int_eq(err.kind, ERR_USAGE);
        ck_assert_msg(strstr(err.text, reason) != NULL, "%s: %s", line, err.text);
        ck_assert_ptr_null(o);
}

static void check_hinted(const char *line, const char *reason, const char *hint)
{
        struct err err = { .kind = ERR_NONE };
        struct options *o = NULL;

        ck_assert_msg(parse_line(&o, line, &err) == -EINVAL, "%s was accepted", line);
        ck_assert_msg(strstr(err.text, reason) != NULL, "%s: %s", line, err.text);
        ck_assert_msg(strstr(err.hint, hint) != NULL, "%s: %s", line, err.hint);
}

static void write_config(const char *text)
{
        FILE *stream = fopen(config_file, "w");

        ck_assert_ptr_nonnull(stream);
        fputs(text, stream);
        fclose(stream);
}

static void setup(void)
{
        int fd;

        snprintf(config_file, sizeof(config_file), "/tmp/test-options-XXXXXX");
        fd = mkstemp(config_file);
        ck_assert_int_ge(fd, 0);
        close(fd);
        snprintf(config_option, sizeof(config_option), "--config=%s", config_file);
        unsetenv("RSYNC_MODULE_PATH");
        unsetenv("RSYNC_EXIT_STATUS");
        unsetenv("POSIXLY_CORRECT");
}

static void teardown(void)
{
        unlink(config_file);
}

START_TEST(one_argument_is_the_destination)
{
        _cleanup_(options_freep) struct options *o = parsed("/mnt//backups/./latest/");

        ck_assert_str_eq(o->source, "/");
        ck_assert_int_eq(o->destination.kind, LOCATION_LOCAL);
        ck_assert_str_eq(o->destination.path, "/mnt/backups/latest");
        ck_assert(o->backup && o->snapshot && o->rotate);
        ck_assert(!o->dry_run && !o->force && !o->no_sudo && !o->multi_fs && !o->scheme_given);
        ck_assert_int_eq(o->daemon, OPTIONS_DAEMON_NONE);
}
END_TEST

START_TEST(two_arguments_are_source_and_destination)
{
        _cleanup_(options_freep) struct options *o = parsed("/home/ host:/srv");
        _cleanup_(options_freep) struct options *dashed = parsed("-n -- /-s ./-r");
        _cleanup_(freep) char *cwd = getcwd(NULL, 0);

        ck_assert_str_eq(o->source, "/home");
        ck_assert_int_eq(o->destination.kind, LOCATION_SSH);
        ck_assert_str_eq(dashed->source, "/-s");
        ck_assert(str_starts(dashed->destination.path, cwd));
        ck_assert(dashed->dry_run);
        check_hinted("/a /b /c", "too many arguments: nothing can follow SOURCE and DESTINATION, but '/c' does",
                     "quoted");
}
END_TEST

START_TEST(every_option_is_understood)
{
        static const char *const lines[] = {
                "-b -s -r -i idle -u -n --multi-fs -x *.o -x /tmp -f --disable-notifications -M 1 -H 2*3 -d 4 -w 5 "
                "--monthly 6 -y always --relaxed --prefer-recent -v -v -q /dst",
                "--backup --snapshot --rotate --ionice=idle --no-sudo --dry-run --multi-fs --exclude=*.o "
                "--exclude=/tmp --force --disable-notifications --minutely=1 --hourly=2_*_3 --daily=4 --weekly=5 "
                "--monthly=6 --yearly=ALWAYS --relaxed --prefer-recent --verbose --verbose --quiet /dst",
                "-bsrufnvvqi idle -x*.o -x/tmp -M1 -H6 --multi --disable -d4 -w5 --mont=6 -yalways --rel --prefer /dst",
        };

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                _cleanup_(options_freep) struct options *o = parsed(lines[i]);
                struct scheme scheme = { .relaxed = false };

                ck_assert(o->backup && o->snapshot && o->rotate);
                ck_assert_int_eq(o->ionice, SETTINGS_IDLE);
                ck_assert(o->no_sudo && o->dry_run && o->multi_fs && o->force && o->disable_notifications);
                ck_assert_uint_eq(o->exclude_count, 2);
                ck_assert_str_eq(o->excludes[0], "*.o");
                ck_assert_str_eq(o->excludes[1], "/tmp");
                ck_assert_int_eq(o->verbosity, 1);
                ck_assert(o->scheme_given);
                options_scheme(o, &scheme);
                ck_assert(scheme.relaxed && scheme.prefer_recent);
                ck_assert_uint_eq(scheme.count[SCHEME_MINUTELY], 1);
                ck_assert_uint_eq(scheme.count[SCHEME_HOURLY], 6);
                ck_assert_uint_eq(scheme.count[SCHEME_DAILY], 4);
                ck_assert_uint_eq(scheme.count[SCHEME_WEEKLY], 5);
                ck_assert_uint_eq(scheme.count[SCHEME_MONTHLY], 6);
                ck_assert_uint_eq(scheme.count[SCHEME_YEARLY], EXPRESSION_ALWAYS);
        }
}
END_TEST

START_TEST(places_are_understood)
{
        _cleanup_(options_freep) struct options *o = parsed("-m /mnt/backups/ -c backups /mnt/backups/latest");
        _cleanup_(options_freep) struct options *t = parsed("-t me@jump:2222 host::module/dir");

        ck_assert_str_eq(o->mount, "/mnt/backups");
        ck_assert_str_eq(o->crypto, "backups");
        ck_assert_str_eq(t->tunnel.host, "jump");
        ck_assert_uint_eq(t->tunnel.port, 2222);
        ck_assert_str_eq(t->destination.module, "module");
}
END_TEST

START_TEST(actions_are_those_asked_for)
{
        static const struct {
                const char *line;
                bool backup, snapshot, rotate;
        } cases[] = {
                { "/dst", true, true, true },           { "-b /dst", true, false, false },
                { "-s /dst", false, true, false },      { "-r /dst", false, false, true },
                { "-sr /dst", false, true, true },      { "-br /dst", true, false, true },
                { "host::module", true, false, false }, { "-b host::module", true, false, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(options_freep) struct options *o = parsed(cases[i].line);

                ck_assert_msg(o->backup == cases[i].backup && o->snapshot == cases[i].snapshot &&
                                      o->rotate == cases[i].rotate,
                              "%s", cases[i].line);
        }
}
END_TEST

START_TEST(help_and_version_are_outcomes)
{
        static const struct {
                const char *line;
                enum options_show show;
        } cases[] = {
                { "-h", OPTIONS_SHOW_HELP },           { "/a /b /c --help", OPTIONS_SHOW_HELP },
                { "--version", OPTIONS_SHOW_VERSION }, { "", OPTIONS_SHOW_USAGE },
                { "-n", OPTIONS_SHOW_USAGE },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(options_freep) struct options *o = parsed(cases[i].line);

                ck_assert_msg(o->show == cases[i].show, "'%s'", cases[i].line);
        }
}
END_TEST

START_TEST(mistyped_options_are_named_with_the_nearest)
{
        check_hinted("--snapshto /dst", "unknown option '--snapshto'", "did you mean '--snapshot'?");
        check_hinted("--mutli-fs /dst", "unknown option '--mutli-fs'", "did you mean '--multi-fs'?");
        check_hinted("--ionize=idle /dst", "unknown option '--ionize'", "did you mean '--ionice'?");
        check_hinted("--nosudo /dst", "unknown option '--nosudo'", "did you mean '--no-sudo'?");
        check_hinted("--frobnicate /dst", "unknown option '--frobnicate'", "see rsync-system-backup --help");
        check_hinted("--source=/ /dst", "unknown option '--source'", "--help");
        check_hinted("-nZ /dst", "unknown option '-Z'", "--help");
        check_hinted("-\x1b /dst", "unknown option '-\\033'", "--help");
        check_refused("--mo=1 /dst", "option '--mo' is ambiguous: --mount, --monthly");
        check_refused("--backup=yes /dst", "option '--backup' takes no value");
        check_refused("/dst --mount", "option '--mount' needs a value");
        check_refused("/dst -nx", "option '-x' needs a value");
}
END_TEST

START_TEST(bad_values_are_named_with_their_option)
{
        check_refused("--ionice=lazy /dst", "--ionice: 'lazy' is not an I/O class: idle, best-effort or realtime");
        check_refused("-i lazy /dst", "-i: 'lazy'");
        check_refused("-m mnt /dst", "-m: 'mnt' is not an absolute path");
        check_refused("-c /dev/sda /dst", "-c: '/dev/sda' cannot be the name");
        check_refused("--config=/a.ini --config=/b.ini", "--config: it has been given already");
        check_refused("--config= /dst", "--config: the name of the file is empty");
        check_refused("--daily=0 /dst", "--daily: ");
        check_refused("--min-battery=101 /dst", "--min-battery: '101' is not a percentage from 0 to 100");
        check_refused("--min-battery=-1 /dst", "--min-battery: '-1'");
        check_refused("--min-battery=40% /dst", "--min-battery: '40%'");
        check_refused("-H seven /dst", "-H: ");
        check_refused("-t host:0 host::module", "-t: 'host:0': the port");
        check_refused("host:~x/y", "DESTINATION: ");
        check_refused("/ host::", "DESTINATION: 'host::'");
        check_refused("--config=/nonexistent/file /dst", "cannot open configuration file '/nonexistent/file': No such");
}
END_TEST

START_TEST(a_remote_source_is_refused)
{
        check_refused("host:/home /dst", "SOURCE: 'host:/home' is remote: the source of a backup is a local directory");
        check_refused("host::module /dst", "is remote");
        check_refused("host:~x /dst", "SOURCE: 'host:~x'");
}
END_TEST

START_TEST(what_cannot_be_combined_is_refused)
{
        check_refused("-s host::module/latest", "--snapshot without --backup");
        check_refused("-r rsync://host/module", "no snapshot can lie beside the destination");
        check_refused("-t jump host:/dir", "--tunnel leads to an rsync daemon");
        check_refused("-t jump /dir", "--tunnel leads to an rsync daemon");
        check_refused("-m /mnt host::module", "--mount cannot be used with it");
        check_refused("-c disk host::module", "--crypto cannot be used with it");
}
END_TEST

START_TEST(what_is_kept_beside_a_destination_is_none)
{
        check_hinted("/srv/.rsync-system-backup", "cannot be '.rsync-system-backup'", "use another name");
        check_refused("--list host:.rsync-system-backup.new", "cannot be '.rsync-system-backup.new'");
        check_refused("host::module/x/.rsync-system-backup.trash-1/", "cannot be '.rsync-system-backup.trash-1'");
        check_hinted("-f /srv/2026-11-21", "cannot be '2026-11-21': what has such a name is a snapshot", "'latest'");
        check_refused("-b host::module/20261121", "cannot be '20261121'");
        _cleanup_(options_freep) struct options *look = parsed("--status /srv/2026-11-21");
        ck_assert_str_eq(look->destination.path, "/srv/2026-11-21");
        _cleanup_(options_freep) struct options *module = parsed("host::.rsync-system-backup");
        ck_assert_str_eq(module->destination.path, "");
}
END_TEST

START_TEST(rsync_as_the_remote_command_serves)
{
        static const char *const rsync[] = { "rsync", "/opt/bin/rsync", "sudo_-n_rsync", "'/opt/bin/rsync'",
                                             "env_rsync_" };
        static const char *const others[] = {
                "rsync-system-backup", "rsync_--fake-super", "rrsync", "sudo_xrsync", "rsync/", "sync"
        };
        char line[128];

        for (size_t i = 0; i < ARRAY_SIZE(rsync); i++) {
                snprintf(line, sizeof(line), "--remote-command=%s host:/dir", rsync[i]);
                _cleanup_(options_freep) struct options *o = parsed(line);
                ck_assert_msg(options_rsync_serves(o), "%s", line);
                ck_assert(o->backup && !o->snapshot && !o->rotate && !o->actions_asked);
        }
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                snprintf(line, sizeof(line), "--remote-command=%s host:/dir", others[i]);
                _cleanup_(options_freep) struct options *o = parsed(line);
                ck_assert_msg(!options_rsync_serves(o), "%s", line);
                ck_assert(o->backup && o->snapshot && o->rotate && !o->actions_asked);
        }
        check_hinted("--remote-command=rsync -s host:/dir", "--snapshot without --backup", "give both");
        check_refused("-r host::module", "no snapshot can lie beside the destination");
        check_refused("--remote-command=rsync -m /mnt host:/dir", "--mount cannot be used with it");
        check_refused("--remote-command=rsync -c disk host:/dir", "--crypto cannot be used with it");
        _cleanup_(options_freep) struct options *asked = parsed("--remote-command=rsync -b host:/dir");
        ck_assert(asked->backup && asked->actions_asked);
        _cleanup_(options_freep) struct options *daemon = parsed("host::module");
        ck_assert(options_rsync_serves(daemon));
        _cleanup_(options_freep) struct options *all = parsed("-bsr host::module/latest");
        ck_assert(all->backup && all->snapshot && all->rotate && !all->lacks_parent);
        _cleanup_(options_freep) struct options *top = parsed("-bsr host::module");
        ck_assert(top->backup && !top->snapshot && !top->rotate && top->lacks_parent);
        _cleanup_(options_freep) struct options *plain = parsed("host:/dir");
        ck_assert(!options_rsync_serves(plain));
}
END_TEST

START_TEST(a_connection_is_used_as_asked)
{
        _cleanup_(options_freep) struct options *plain = parsed("host:/dir");
        _cleanup_(options_freep) struct options *o =
                parsed("--compress=7 --bwlimit=1.5M --timeout=30 --retries=0 --remote-command=sudo_rsb host:/dir");
        _cleanup_(options_freep) struct options *never = parsed("--compress=no --bwlimit=0 host:/dir");

        ck_assert_int_eq(plain->link.compress, SETTINGS_COMPRESS_UNSET);
        ck_assert_uint_eq(plain->link.retries, 3);
        ck_assert_uint_eq(plain->link.bwlimit, 0);
        ck_assert_uint_eq(plain->link.timeout_s, 0);
        ck_assert_ptr_null(plain->link.remote_command);
        ck_assert_int_eq(o->link.compress, SETTINGS_COMPRESS_ALWAYS);
        ck_assert_uint_eq(o->link.compress_level, 7);
        ck_assert_uint_eq(o->link.bwlimit, 1572864);
        ck_assert_uint_eq(o->link.timeout_s, 30);
        ck_assert_uint_eq(o->link.retries, 0);
        ck_assert_str_eq(o->link.remote_command, "sudo rsb");
        ck_assert_int_eq(never->link.compress, SETTINGS_COMPRESS_NEVER);
        check_refused("--compress=20 host:/dir", "--compress: '20' is neither auto");
        check_refused("--compress=fast host:/dir", "--compress: 'fast'");
        check_refused("--bwlimit=fast host:/dir", "--bwlimit: 'fast' is not a rate");
        check_refused("--timeout=-1 host:/dir", "--timeout: '-1'");
        check_refused("--retries=x host:/dir", "--retries: 'x'");
        check_refused("--remote-command= host:/dir", "--remote-command: the command is empty");
}
END_TEST

START_TEST(a_local_directory_has_no_connection)
{
        static const char *const options[] = { "--compress=no", "--bwlimit=0", "--timeout=1", "--retries=1",
                                               "--remote-command=x" };

        for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
                char line[64];

                snprintf(line, sizeof(line), "%s /dst", options[i]);
                check_refused(line, "is about a connection, and the destination is a local directory");
        }
}
END_TEST

START_TEST(an_agent_takes_its_own_options_only)
{
        _cleanup_(options_freep) struct options *o = parsed("--server --restrict=/srv//backups/ --append-only");

        ck_assert(o->server && o->append_only);
        ck_assert_str_eq(o->restrict_to, "/srv/backups");
        ck_assert_ptr_null(o->destination.path);
        setenv("RSYNC_MODULE_PATH", "/srv/module", 1);
        _cleanup_(options_freep) struct options *plain = parsed("--server");
        ck_assert(plain->server && !plain->append_only && !plain->restrict_to && !plain->destination.path);
        check_refused("--restrict=/srv /dst", "--restrict goes with --server only");
        check_refused("--append-only /dst", "--append-only goes with --server only");
        check_refused("--server /dst", "--server takes no SOURCE and no DESTINATION");
        check_refused("--server --force", "not with --force");
        check_refused("--server -v", "not with --verbose");
        check_refused("--server --append-only", "--append-only needs --restrict");
        check_refused("--server --restrict=srv", "--restrict: 'srv' is not an absolute path");
        write_config("[a]\ndestination = /mnt/x\nserver = yes\n");
        check_refused("CONFIG", "this option is for the command line only");
}
END_TEST

START_TEST(a_file_knows_of_the_connection_too)
{
        write_config("[a]\ndestination = host:/x\ncompress = auto\nbwlimit = 2M\ntimeout = 9\nretries = 1\n"
                     "remote-command = /opt/rsb\n");
        _cleanup_(options_freep) struct options *o = parsed("CONFIG");
        _cleanup_(options_freep) struct options *over = parsed("CONFIG --compress=3 --bwlimit=0 --retries=7");

        ck_assert_int_eq(o->link.compress, SETTINGS_COMPRESS_AUTO);
        ck_assert_uint_eq(o->link.bwlimit, 2 << 20);
        ck_assert_uint_eq(o->link.timeout_s, 9);
        ck_assert_uint_eq(o->link.retries, 1);
        ck_assert_str_eq(o->link.remote_command, "/opt/rsb");
        ck_assert_uint_eq(over->link.compress_level, 3);
        ck_assert_uint_eq(over->link.bwlimit, 0);
        ck_assert_uint_eq(over->link.retries, 7);
        ck_assert_uint_eq(over->link.timeout_s, 9);
}
END_TEST

START_TEST(an_rsync_daemon_names_the_destination)
{
        static const struct {
                const char *status;
                enum options_daemon daemon;
        } cases[] = {
                { "0", OPTIONS_DAEMON_COMPLETE },    { "24", OPTIONS_DAEMON_COMPLETE },
                { "23", OPTIONS_DAEMON_INCOMPLETE }, { "12", OPTIONS_DAEMON_FAILED },
                { "-1", OPTIONS_DAEMON_FAILED },     { "00", OPTIONS_DAEMON_FAILED },
                { "", OPTIONS_DAEMON_NONE },
        };

        setenv("RSYNC_MODULE_PATH", "/srv/a:b/", 1);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                setenv("RSYNC_EXIT_STATUS", cases[i].status, 1);
                _cleanup_(options_freep) struct options *o = parsed("-sr");
                ck_assert_str_eq(o->destination.path, "/srv/a:b");
                ck_assert_int_eq(o->destination.kind, LOCATION_LOCAL);
                ck_assert_msg(o->daemon == cases[i].daemon, "%s", cases[i].status);
        }
        setenv("RSYNC_EXIT_STATUS", "0", 1);
        _cleanup_(options_freep) struct options *given = parsed("-sr /dst");
        ck_assert_str_eq(given->destination.path, "/dst");
        unsetenv("RSYNC_MODULE_PATH");
        _cleanup_(options_freep) struct options *stray = parsed("-sr /dst");
        ck_assert_int_eq(stray->daemon, OPTIONS_DAEMON_NONE);
}
END_TEST

START_TEST(a_file_can_hold_the_whole_job)
{
        write_config("[laptop]\n"
                     "source = /home/\n"
                     "destination = /mnt/backups/laptop/latest/\n"
                     "backup = yes\nsnapshot = Yes\nrotate = on\nionice = best-effort\nno-sudo = yes\n"
                     "dry-run = yes\nmulti-fs = yes\nforce = yes\ndisable-notifications = yes\n"
                     "only-on-ac = yes\nmin-battery = 40\nnot-on-metered = yes\n"
                     "exclude =\n  *.o\n  *.tmp\n  ; a comment\nexclude = /var/spool\n"
                     "hourly = 2 * 12\nmonthly = always\nrelaxed = yes\nprefer-recent = no\nverbose = 2\n"
                     "mount = /mnt/backups\ncrypto = disk\n");
        _cleanup_(options_freep) struct options *o = parsed("CONFIG");
        struct scheme scheme = { .prefer_recent = true };

        ck_assert_str_eq(o->source, "/home");
        ck_assert_str_eq(o->destination.path, "/mnt/backups/laptop/latest");
        ck_assert_str_eq(o->section, "laptop");
        ck_assert_str_eq(o->config, config_file);
        ck_assert(o->backup && o->snapshot && o->rotate);
        ck_assert_int_eq(o->ionice, SETTINGS_BEST_EFFORT);
        ck_assert(o->no_sudo && o->dry_run && o->multi_fs && o->force && o->disable_notifications);
        ck_assert(o->only_on_ac && o->not_on_metered && o->min_battery_percent == 40);
        ck_assert_uint_eq(o->exclude_count, 3);
        ck_assert_str_eq(o->excludes[1], "*.tmp");
        ck_assert_str_eq(o->excludes[2], "/var/spool");
        ck_assert_str_eq(o->mount, "/mnt/backups");
        ck_assert_str_eq(o->crypto, "disk");
        ck_assert_int_eq(o->verbosity, 2);
        options_scheme(o, &scheme);
        ck_assert_uint_eq(scheme.count[SCHEME_HOURLY], 24);
        ck_assert_uint_eq(scheme.count[SCHEME_DAILY], 0);
        ck_assert_uint_eq(scheme.count[SCHEME_MONTHLY], EXPRESSION_ALWAYS);
        ck_assert(scheme.relaxed && !scheme.prefer_recent);
}
END_TEST

START_TEST(the_command_line_wins_over_the_file)
{
        write_config("[laptop]\nsource = /home\ndestination = /mnt/latest\nionice = idle\nexclude = b\n"
                     "hourly = 24\ndaily = 7\nverbose = 2\nsnapshot = yes\nrelaxed = yes\nmin-battery = 40\n");
        _cleanup_(options_freep) struct options *o =
                parsed("CONFIG -b -x a -i realtime --daily=3 -q --min-battery=0 --only-on-ac /etc /other");

        ck_assert_str_eq(o->source, "/etc");
        ck_assert_str_eq(o->destination.path, "/other");
        ck_assert_int_eq(o->ionice, SETTINGS_REALTIME);
        ck_assert(o->only_on_ac && !o->not_on_metered && o->min_battery_percent == 0);
        /* Actions and the scheme are each one thing. */
        ck_assert(o->backup && !o->snapshot && !o->rotate);
        ck_assert_uint_eq(o->counts[SCHEME_HOURLY], 0);
        ck_assert_uint_eq(o->counts[SCHEME_DAILY], 3);
        ck_assert_int_eq(o->relaxed, SETTINGS_YES);
        ck_assert_int_eq(o->verbosity, -1);
        ck_assert_uint_eq(o->exclude_count, 2);
        ck_assert_str_eq(o->excludes[0], "a");
        ck_assert_str_eq(o->excludes[1], "b");
}
END_TEST

START_TEST(a_section_is_chosen_by_name_or_destination)
{
        write_config("[home]\nsource = /home\ndestination = /mnt/home/latest\n"
                     "[system]\ndestination = host:/srv/\n[other]\ndestination = host:/srv/x\n");
        _cleanup_(options_freep) struct options *name = parsed("CONFIG home");
        _cleanup_(options_freep) struct options *place = parsed("CONFIG host:/srv");
        _cleanup_(options_freep) struct options *both = parsed("CONFIG /etc home");

        ck_assert_str_eq(name->destination.path, "/mnt/home/latest");
        ck_assert_str_eq(name->source, "/home");
        ck_assert_str_eq(place->section, "system");
        ck_assert_str_eq(place->source, "/");
        ck_assert_str_eq(both->source, "/etc");
        ck_assert_str_eq(both->destination.path, "/mnt/home/latest");
        check_refused("CONFIG", "has 3 sections; give the name or the destination of one: home, system, other");
        check_refused("CONFIG hoem", "'hoem' is neither a section of ");
        setenv("RSYNC_MODULE_PATH", "/mnt/home/latest", 1);
        _cleanup_(options_freep) struct options *module = parsed("CONFIG -sr");
        ck_assert_str_eq(module->section, "home");
}
END_TEST

START_TEST(sections_with_the_same_destination_are_told_apart_by_name)
{
        write_config("[a]\nsource = /a\ndestination = /mnt/x\n[b]\nsource = /b\ndestination = /mnt/x/\n");
        _cleanup_(options_freep) struct options *o = parsed("CONFIG b");

        ck_assert_str_eq(o->source, "/b");
        check_refused("CONFIG /mnt/x", "have this destination; give the name of one: a, b");
}
END_TEST

START_TEST(a_single_section_takes_any_destination)
{
        write_config("[defaults]\nexclude = *.o\n");
        _cleanup_(options_freep) struct options *o = parsed("CONFIG /dst");

        ck_assert_str_eq(o->destination.path, "/dst");
        ck_assert_uint_eq(o->exclude_count, 1);
        check_refused("CONFIG", "section [defaults] of /tmp/test-options-");
        check_refused("CONFIG defaults", "has no destination, and none was given");
        check_refused("CONFIG default", "'default' is no section of /tmp/test-options-");
        options_free(parsed("CONFIG ./default"));
        options_free(parsed("CONFIG host:"));
        /* What was once a job is no directory. */
        write_config("[system]\nsource = /etc\ndestination = /dst\n[home]\n;destination = /mnt\n");
        options_free(parsed("CONFIG"));
        check_refused("CONFIG home", "has no options in it");
        setenv("RSYNC_MODULE_PATH", "/srv/module", 1);
        check_refused("CONFIG home", "has no options in it");
        unsetenv("RSYNC_MODULE_PATH");
}
END_TEST

START_TEST(what_does_not_go_together_names_the_section)
{
        write_config("[job]\ncompress = always\ndestination = /dst\n[other]\ndestination = host:/dst\n");
        check_refused("CONFIG job", " [job]: --compress is about a connection");
        options_free(parsed("CONFIG other"));
}
END_TEST

START_TEST(a_file_can_say_no_to_an_action)
{
        write_config("[x]\ndestination = /dst\nrotate = no\n");
        _cleanup_(options_freep) struct options *o = parsed("CONFIG");
        _cleanup_(options_freep) struct options *asked = parsed("CONFIG --rotate");

        ck_assert(o->backup && o->snapshot && !o->rotate);
        ck_assert(!asked->backup && !asked->snapshot && asked->rotate);
        write_config("[x]\ndestination = /dst\nrotate = no\nbackup = no\nsnapshot = no\n");
        check_refused("CONFIG", "nothing to do");
}
END_TEST

START_TEST(mistakes_in_a_file_name_file_line_and_key)
{
        static const struct {
                const char *text, *message, *hint;
        } cases[] = {
                { "[a]\nsnapshto = yes\n", "f:2: snapshto: there is no such option", "did you mean 'snapshot'?" },
                { "[a]\n\nno_sudo = yes\n", "f:3: no_sudo: there is no such option", "did you mean 'no-sudo'?" },
                { "[a]\nxyzzy = 1\n", "f:2: xyzzy: there is no such option", "" },
                { "source = /\n", "f:1: source: it stands in no [section]", "" },
                { "[a]\nhelp = yes\n", "f:2: help: this option is for the command line only", "" },
                { "[a]\nconfig = /x\n", "f:2: config: this option is for the command line only", "" },
                { "[a]\nforce = maybe\n", "f:2: force: 'maybe' is neither yes nor no", "" },
                { "[a]\nverbose = 10\n", "f:2: verbose: '10' is neither yes nor no nor a number from 0 to 9", "" },
                { "[a]\ndaily = 0\n", "f:2: daily: ", "" },
                { "[a]\nionice = x\n", "f:2: ionice: 'x' is not an I/O class", "" },
                { "[a]\nmount = x\n", "f:2: mount: 'x' is not an absolute path", "" },
                { "[a]\nsource = home\n", "f:2: source: 'home' is a relative path", "" },
                { "[a]\ndestination = a/b\n", "f:2: destination: 'a/b' is a relative path", "" },
                { "[a]\nsource = host:/\n", "f:2: source: 'host:/' is remote", "" },
                { "[a]\ndestination =\n", "f:2: destination: the location is empty", "" },
                { "[a]\nsource = /\nsource = /x\n", "f:3: source: it has been given in line 2 already", "" },
                { "[a]\nsource = /\n destination = /x\n", "f:3: source: it has been given",
                  "an indented line continues" },
                { "[a]\nexclude = x\n force = yes\n", "f:3: exclude: 'force = yes' looks like an option", "" },
                { "[a]\nexclude = x\n Daily: 7\n", "f:3: exclude: 'Daily: 7' looks like an option", "" },
                { "[a]\nexclude = x\n dayly = 7\n", "f:3: exclude: 'dayly = 7' looks like an option", "[=]" },
                { "[a]\nexclude = x\n *.o ; objects\n", "f:3: exclude: '*.o ; objects' has a comment behind it",
                  "[;]" },
                { "[a]\nexclude = *.o\t#1\n", "f:2: exclude: '*.o\\t#1' has a comment behind it", "[#]" },
                { "[a]\nexclude = *.o\xc2\xa0\n", "f:2: exclude: '*.o\xc2\xa0' has a no-break space", "is written ??" },
                { "[a]\nexclude = + \xc2\xa0*.o\n", "f:2: exclude: '+ \xc2\xa0*.o' has a no-break space", "" },
                { "[a]\nexclude = \"*.o\"\n", "f:2: exclude: '\\\"*.o\\\"' stands in quotes", "without quotes" },
                { "[a]\nexclude = + '/a b/'\n", "f:2: exclude: '+ \\'/a b/\\'' stands in quotes", "without quotes" },
                { "[a] exclude = x\n", "f:1: something stands behind the ']'", "" },
                { "\xef\xbb\xbf[a] force = no\n", "f:1: something stands behind the ']'", "" },
                { "[a]\nnonsense\n", "f:2: neither a [section] nor", "" },
                { "[a\ndaily = 1\n", "f:1: a '[' without its ']'", "" },
                { "[a]\ndaily = 1\n[b\ndaily = 1\n", "f:3: a '[' without its ']'", "" },
                { "", "f: there is no [section]", "" },
                { "[a]\nsource = /\n[b]\nsource = x:\n", "f:4: source: 'x:.' is remote", "" },
                { "[xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]\nsource = /\n",
                  "f:2: source: the name of its [section] is longer than 48 bytes", "" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct config c = { .file = NULL };
                struct err err = { .kind = ERR_NONE };

                ck_assert_msg(config_read_text(&c, "f", cases[i].text, &err) == -EINVAL, "%s", cases[i].text);
                ck_assert_int_eq(err.kind, ERR_USAGE);
                ck_assert_msg(str_starts(err.text, cases[i].message), "%s", err.text);
                ck_assert_msg(strstr(err.hint, cases[i].hint) != NULL, "%s", err.hint);
        }
}
END_TEST

START_TEST(a_section_can_be_continued)
{
        _cleanup_(config_deinit) struct config c = { .file = NULL };
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(config_read_text(&c, "f", "[a]\nexclude = x\n[b]\nforce=1\n[a]\nexclude: y\n", &err), 0);
        ck_assert_uint_eq(c.count, 2);
        ck_assert_uint_eq(c.sections[0].settings.exclude_count, 2);
        ck_assert_int_eq(config_read_text(&c, "f", "[a]\nforce=1\n[b]\nforce=1\n[a]\nforce=0\n", &err), -EINVAL);
        ck_assert_str_eq(err.text, "f:6: force: it has been given in line 2 already");
}
END_TEST

START_TEST(what_only_resembles_a_mistake_is_a_pattern)
{
        static const char text[] = "\xef\xbb\xbf[a] ; the first\r\nexclude = + #*#\r\n\r\n a[ ]; b\r\n \"a\r\n '\r\n "
                                   "f: x\r\n a [=] b\r\n a=b\r\n"
                                   "[b]\t# the second\r\nforce = on\r\n";
        static const char *const patterns[] = { "+ #*#", "a[ ]; b", "\"a", "'", "f: x", "a [=] b", "a=b" };
        _cleanup_(config_deinit) struct config c = { .file = NULL };
        struct err err = { .kind = ERR_NONE };

        ck_assert_msg(config_read_text(&c, "f", text, &err) == 0, "%s", err.text);
        ck_assert_uint_eq(c.sections[0].settings.exclude_count, ARRAY_SIZE(patterns));
        for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
                ck_assert_str_eq(c.sections[0].settings.excludes[i], patterns[i]);
}
END_TEST

START_TEST(flags_leave_the_scheme_of_other_files_as_it_is)
{
        _cleanup_(options_freep) struct options *o = parsed("--prefer-recent /dst");
        struct scheme scheme = { .count = { [SCHEME_DAILY] = 9 }, .relaxed = true };

        ck_assert(!o->scheme_given);
        options_scheme(o, &scheme);
        ck_assert_uint_eq(scheme.count[SCHEME_DAILY], 9);
        ck_assert(scheme.relaxed && scheme.prefer_recent);
}
END_TEST

START_TEST(the_usage_is_complete_and_fits_a_terminal)
{
        const char *text = options_usage_text();
        char option[48];

        for (size_t i = 0; i < settings_table_size; i++) {
                const struct setting *row = &settings_table[i];

                if (row->letter)
                        snprintf(option, sizeof(option), "  -%c, --%s", row->letter, row->name);
                else
                        snprintf(option, sizeof(option), "      --%s", row->name);
                ck_assert_msg(row->place == SETTINGS_FILE || strstr(text, option), "%s", option);
        }
        for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
                ck_assert_msg(strcspn(line, "\n") <= 80, "%.*s", (int)strcspn(line, "\n"), line);
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("options");

        tcase_add_checked_fixture(cases, setup, teardown);
        tcase_add_test(cases, one_argument_is_the_destination);
        tcase_add_test(cases, two_arguments_are_source_and_destination);
        tcase_add_test(cases, every_option_is_understood);
        tcase_add_test(cases, places_are_understood);
        tcase_add_test(cases, actions_are_those_asked_for);
        tcase_add_test(cases, help_and_version_are_outcomes);
        tcase_add_test(cases, mistyped_options_are_named_with_the_nearest);
        tcase_add_test(cases, bad_values_are_named_with_their_option);
        tcase_add_test(cases, a_remote_source_is_refused);
        tcase_add_test(cases, what_cannot_be_combined_is_refused);
        tcase_add_test(cases, what_is_kept_beside_a_destination_is_none);
        tcase_add_test(cases, rsync_as_the_remote_command_serves);
        tcase_add_test(cases, a_connection_is_used_as_asked);
        tcase_add_test(cases, a_local_directory_has_no_connection);
        tcase_add_test(cases, an_agent_takes_its_own_options_only);
        tcase_add_test(cases, a_file_knows_of_the_connection_too);
        tcase_add_test(cases, an_rsync_daemon_names_the_destination);
        tcase_add_test(cases, a_file_can_hold_the_whole_job);
        tcase_add_test(cases, the_command_line_wins_over_the_file);
        tcase_add_test(cases, a_section_is_chosen_by_name_or_destination);
        tcase_add_test(cases, sections_with_the_same_destination_are_told_apart_by_name);
        tcase_add_test(cases, a_single_section_takes_any_destination);
        tcase_add_test(cases, what_does_not_go_together_names_the_section);
        tcase_add_test(cases, a_file_can_say_no_to_an_action);
        tcase_add_test(cases, mistakes_in_a_file_name_file_line_and_key);
        tcase_add_test(cases, what_only_resembles_a_mistake_is_a_pattern);
        tcase_add_test(cases, a_section_can_be_continued);
        tcase_add_test(cases, flags_leave_the_scheme_of_other_files_as_it_is);
        tcase_add_test(cases, the_usage_is_complete_and_fits_a_terminal);
        return cases_run("options", cases);
}
