/*
 * What a program that is linked statically has in place of a GSSAPI library. libssh refers to one, since it can log in
 * by Kerberos, which is never asked of it here (ssh_auth.c); distributions have none as an archive. Each function of
 * RFC 2744 that it names fails, with GSS_S_FAILURE. They are called with arguments that they do not look at.
 */
#define GSS_S_FAILURE (13U << 16)

#define ABSENT(name)                  \
        unsigned name(void);          \
        unsigned name(void)           \
        {                             \
                return GSS_S_FAILURE; \
        }

extern const void *const GSS_C_NT_HOSTBASED_SERVICE, *const GSS_C_NT_USER_NAME;
const void *const GSS_C_NT_HOSTBASED_SERVICE = (void *)0, *const GSS_C_NT_USER_NAME = (void *)0;

ABSENT(gss_accept_sec_context)
ABSENT(gss_acquire_cred)
ABSENT(gss_add_oid_set_member)
ABSENT(gss_create_empty_oid_set)
ABSENT(gss_display_name)
ABSENT(gss_display_status)
ABSENT(gss_get_mic)
ABSENT(gss_import_name)
ABSENT(gss_indicate_mechs)
ABSENT(gss_init_sec_context)
ABSENT(gss_inquire_cred)
ABSENT(gss_inquire_cred_by_mech)
ABSENT(gss_release_buffer)
ABSENT(gss_release_cred)
ABSENT(gss_release_name)
ABSENT(gss_release_oid_set)
ABSENT(gss_test_oid_set_member)
ABSENT(gss_verify_mic)
