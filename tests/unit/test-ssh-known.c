/* known_hosts: which lines are about a host, and what they say of its key. */
#include "scratch.h"
#include "transfer/ssh/ssh_known.h"

/* Two keys, of nobody. */
#define RIGHT "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGRlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKD"
#define WRONG "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"

static ssh_key right_key;

static struct ssh_known scan(const char *name, const char *plain, const char *text)
{
        struct ssh_known k = { .name = name, .plain = plain, .key = right_key };
        size_t size = strlen(text);
        char *exact = malloc(size);

        /* Nothing stands behind the last byte, which the address sanitizer watches. */
        ck_assert(exact || size == 0);
        memcpy(exact, text, size);
        ck_assert_int_eq(ssh_known_scan(&k, "file", exact, size), 0);
        free(exact);
        return k;
}

enum { HAS = 1, OTHER = 2, REVOKED = 4, AUTHORITY = 8 };

static void says(const char *text, unsigned expected)
{
        struct ssh_known k = scan("host", NULL, text);
        unsigned found = (k.has_key ? HAS : 0) | (k.others > 0 ? OTHER : 0) | (k.is_revoked ? REVOKED : 0) |
                         (k.has_authority ? AUTHORITY : 0);

        ck_assert_msg(found == expected, "%s: %u, expected %u", text, found, expected);
        ssh_known_deinit(&k);
}

START_TEST(a_line_is_about_the_hosts_that_it_names)
{
        says("host " RIGHT, HAS);
        says("HOST " RIGHT "\n", HAS);
        says("a,host,b " RIGHT, HAS);
        says("h?s* " RIGHT " comment", HAS);
        says("\t host \t" RIGHT "\r\n", HAS);
        says("other " RIGHT, 0);
        says("*,!host " RIGHT, 0);
        says("!host,* " RIGHT, 0);
        says("!other,* " RIGHT, HAS);
        says("[host]:22 " RIGHT, 0);
}
END_TEST

START_TEST(lines_that_make_no_sense_say_nothing)
{
        says("", 0);
        says("\n\n#host " RIGHT "\n", 0);
        says("host", 0);
        says("host ssh-ed25519", 0);
        says("host ssh-ed25519 AAAA", 0);
        says("host ssh-new AAAA\nhost " RIGHT, HAS);
        says("|1|x|y " RIGHT, 0);
        says("|1| " RIGHT, 0);
        says("| " RIGHT, 0);
        says("@revoked", 0);
        says("@unknown host " RIGHT, 0);
}
END_TEST

START_TEST(another_key_is_told_with_its_line)
{
        struct ssh_known k = scan("host", NULL, "# first\nhost " WRONG "\nhost " WRONG);

        ck_assert(!k.has_key);
        ck_assert_uint_eq(k.others, 2);
        ck_assert_str_eq(k.other_at, "file:2");
        ck_assert_str_eq(buf_text(&k.types), "ssh-ed25519");
        ssh_known_deinit(&k);
        says("host " WRONG "\nhost " RIGHT, HAS | OTHER);
}
END_TEST

START_TEST(markers_are_no_keys)
{
        says("@revoked host " RIGHT, REVOKED);
        says("@revoked * " RIGHT "\nhost " RIGHT, HAS | REVOKED);
        says("host " RIGHT "\n@revoked host " RIGHT, HAS | REVOKED);
        says("@revoked other " RIGHT, 0);
        says("@revoked host " WRONG "\nhost " RIGHT, HAS);
        says("@cert-authority * " RIGHT, AUTHORITY);
        says("@cert-authority other " RIGHT, 0);
}
END_TEST

/* HMAC-SHA1 of "host" and of "[host]:2222" with the salt "12345678901234567890". */
#define HASHED_PLAIN "|1|MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=|V2xKmbWugslh0y+S3fiKKOuqLBo= "
#define HASHED_PORT "|1|MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=|MHX99W1f6U8Asb36oaSzJz7D8ZI= "

START_TEST(hashed_names_are_found)
{
        struct ssh_known k;

        says(HASHED_PLAIN RIGHT, HAS);
        says(HASHED_PORT RIGHT, 0);
        says("@revoked " HASHED_PLAIN RIGHT, REVOKED);
        says(HASHED_PLAIN WRONG, OTHER);
        k = scan("[host]:2222", "host", HASHED_PORT WRONG);
        ck_assert_uint_eq(k.others, 1);
        ssh_known_deinit(&k);
}
END_TEST

START_TEST(a_name_without_a_port_is_as_good_only_with_the_same_key)
{
        struct ssh_known k = scan("[host]:2222", "host", "host " RIGHT);

        ck_assert(k.has_key && k.others == 0);
        ssh_known_deinit(&k);
        k = scan("[host]:2222", "host", "host " WRONG);
        ck_assert(!k.has_key && k.others == 0);
        ssh_known_deinit(&k);
        k = scan("[host]:2222", "host", "@revoked host " RIGHT "\n[host]:2222 " RIGHT);
        ck_assert(k.is_revoked);
        ssh_known_deinit(&k);
        k = scan("[host]:2222", "host", "[host]:1 " RIGHT "\n[host]:* " RIGHT);
        ck_assert(k.has_key);
        ssh_known_deinit(&k);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                a_line_is_about_the_hosts_that_it_names,
                lines_that_make_no_sense_say_nothing,
                another_key_is_told_with_its_line,
                markers_are_no_keys,
                hashed_names_are_found,
                a_name_without_a_port_is_as_good_only_with_the_same_key,
        };
        int status;

        if (ssh_pki_import_pubkey_base64(strchr(RIGHT, ' ') + 1, SSH_KEYTYPE_ED25519, &right_key) != SSH_OK)
                return 1;
        status = scratch_run("ssh-known", tests, ARRAY_SIZE(tests));
        ssh_key_free(right_key);
        return status;
}
