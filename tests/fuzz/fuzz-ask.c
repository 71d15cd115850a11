/* A reply to a question for a passphrase is one of three things, and a passphrase lies within it. */
#include "base/util.h"
#include "storage/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(const char *reply, size_t reply_size, const char *passphrase, size_t size)
{
        if (reply[0] != '+' || passphrase != reply + 1 || size > reply_size - 1 || memchr(passphrase, '\0', size))
                abort();
        /* It ends where the reply does, or at a NUL. */
        if (size < reply_size - 1 && passphrase[size] != '\0')
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* Just as large as it is, so that a byte read behind its end is seen. */
        _cleanup_(freep) char *reply = malloc(size_max(size, 1));
        const char *passphrase = NULL;
        size_t passphrase_size = 0;

        if (!reply)
                return 0;
        if (size > 0)
                memcpy(reply, data, size);
        switch (ask_parse_reply(reply, size, &passphrase, &passphrase_size)) {
        case ASK_ANSWERED:
                check_answer(reply, size, passphrase, passphrase_size);
                break;
        case ASK_CANCELLED:
                if (size == 0 || reply[0] != '-' || passphrase)
                        abort();
                break;
        case -EBADMSG:
                if ((size > 0 && (reply[0] == '+' || reply[0] == '-')) || passphrase)
                        abort();
                break;
        default:
                abort();
        }
        return 0;
}
