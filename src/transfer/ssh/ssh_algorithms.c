/* The lists of ssh_config(5) name what is added to, taken from or put before a standard list, which is ours. */
#include "transfer/ssh/ssh_algorithms.h"

#include "base/err.h"
#include "base/path.h"
#include "transfer/ssh/ssh_config.h"
#include "transfer/ssh/ssh_hostkey.h"

#include <sys/auxv.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#endif

enum { SHOWN_MAX = 200 };

/* Where the CPU knows AES it is twice as fast as ChaCha20; where it does not, slower, and not safe from timing. */
static const char *standard_ciphers(void)
{
        bool has_aes = false;

#if defined(__x86_64__) || defined(__i386__)
        has_aes = __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
        has_aes = getauxval(AT_HWCAP) & HWCAP_AES;
#endif
        return has_aes ? "aes256-gcm@openssh.com,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,"
                         "aes192-ctr,aes128-ctr"
                       : "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,"
                         "aes192-ctr,aes128-ctr";
}

/* What a libssh does not know of these it leaves out. */
#define STANDARD_KEX                                                                                         \
        "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256," \
        "curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"             \
        "diffie-hellman-group18-sha512,diffie-hellman-group16-sha512,diffie-hellman-group-exchange-sha256,"  \
        "diffie-hellman-group14-sha256"
#define STANDARD_MACS "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"
#define STANDARD_SIGNATURES                                                                       \
        "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"              \
        "ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"      \
        "sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,"        \
        "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,"        \
        "ecdsa-sha2-nistp521,ecdsa-sha2-nistp384,ecdsa-sha2-nistp256,sk-ssh-ed25519@openssh.com," \
        "sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"

/* A list of algorithms for one option, or for both directions' two. */
static int set_list(const struct ssh_link *link, const char *keyword, const char *wanted, const char *standard,
                    const enum ssh_options_e *options, size_t count, struct err *err)
{
        _cleanup_(freep) char *list = ssh_config_algorithms(wanted, standard);
        char shown[SHOWN_MAX];

        if (!list)
                return err_oom(err);
        for (size_t i = 0; i < count; i++) {
                if (ssh_options_set(link->session, options[i], list) < 0) {
                        path_show(NULL, list, shown, sizeof(shown));
                        return err_usage(err, "ssh_config: %s for %s: there is nothing in it that is known: '%s'",
                                         keyword, link->name, shown);
                }
        }
        return 0;
}

int ssh_algorithms_set(const struct ssh_link *link, struct err *err)
{
        static const enum ssh_options_e ciphers[] = { SSH_OPTIONS_CIPHERS_C_S, SSH_OPTIONS_CIPHERS_S_C },
                                        macs[] = { SSH_OPTIONS_HMAC_C_S, SSH_OPTIONS_HMAC_S_C },
                                        kex[] = { SSH_OPTIONS_KEY_EXCHANGE },
                                        signatures[] = { SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES },
                                        host_keys[] = { SSH_OPTIONS_HOSTKEYS };
        const struct ssh_config *c = link->config;
        _cleanup_(freep) char *known = NULL;
        int r = set_list(link, "Ciphers", c->ciphers, standard_ciphers(), ciphers, ARRAY_SIZE(ciphers), err);

        if (r == 0 && c->macs)
                r = set_list(link, "MACs", c->macs, STANDARD_MACS, macs, ARRAY_SIZE(macs), err);
        if (r == 0 && c->kex_algorithms)
                r = set_list(link, "KexAlgorithms", c->kex_algorithms, STANDARD_KEX, kex, ARRAY_SIZE(kex), err);
        if (r == 0 && c->accepted_algorithms)
                r = set_list(link, "PubkeyAcceptedAlgorithms", c->accepted_algorithms, STANDARD_SIGNATURES, signatures,
                             ARRAY_SIZE(signatures), err);
        if (r == 0)
                r = ssh_hostkey_algorithms(&known, link, err);
        return r < 0 ? r : set_list(link, "HostKeyAlgorithms", known, "", host_keys, ARRAY_SIZE(host_keys), err);
}
