#include "transfer/ssh/ssh_identity.h"

#include "base/fd.h"
#include "base/secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* "openssh-key-v1", and a cipher's name that begins with "no", in base64: PROTOCOL.key of OpenSSH. */
#define NOT_ENCRYPTED "b3BlbnNzaC1rZXktdjEAAAAABG5v"

enum { HEAD_SIZE = 1024 };

ssh_key ssh_identity_public(const char *path)
{
        _cleanup_(freep) char *beside = NULL;
        ssh_key key = NULL;

        if (asprintf(&beside, "%s.pub", path) < 0) {
                beside = NULL;
                return NULL;
        }
        if (ssh_pki_import_pubkey_file(beside, &key) == SSH_OK)
                return key;
        return ssh_pki_import_pubkey_file(path, &key) == SSH_OK ? key : NULL;
}

ssh_key ssh_identity_certificate(const char *path)
{
        ssh_key key = NULL;

        return ssh_pki_import_cert_file(path, &key) == SSH_OK ? key : NULL;
}

char *ssh_identity_certificate_path(const char *path)
{
        char *beside;

        return asprintf(&beside, "%s-cert.pub", path) < 0 ? NULL : beside;
}

static bool says_encrypted(const char *head)
{
        if (strstr(head, "BEGIN OPENSSH PRIVATE KEY"))
                return !strstr(head, NOT_ENCRYPTED);
        return strstr(head, "ENCRYPTED");
}

int ssh_identity_look(const char *path)
{
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        char head[HEAD_SIZE];
        struct stat st;
        ssize_t size;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if (st.st_uid == geteuid() && (st.st_mode & 077) != 0)
                return SSH_IDENTITY_EXPOSED;
        size = fd_read_full(fd, head, sizeof(head) - 1);
        if (size < 0)
                return (int)size;
        head[size] = '\0';
        return says_encrypted(head) ? SSH_IDENTITY_ENCRYPTED : SSH_IDENTITY_PLAIN;
}

/* Always given to libssh: without it the crypto library would ask on the terminal by itself. */
static int give_passphrase(const char *question, char *buffer, size_t size, int echo, int verify, void *context)
{
        const struct secret *passphrase = context;

        (void)question;
        (void)echo;
        (void)verify;
        if (!passphrase->data || passphrase->size >= size)
                return -1;
        memcpy(buffer, passphrase->data, passphrase->size);
        buffer[passphrase->size] = '\0';
        return 0;
}

ssh_key ssh_identity_private(const char *path, const struct secret *passphrase)
{
        struct secret context = { .data = NULL };
        ssh_key key = NULL;

        if (passphrase)
                context = *passphrase;
        return ssh_pki_import_privkey_file(path, NULL, give_passphrase, &context, &key) == SSH_OK ? key : NULL;
}
