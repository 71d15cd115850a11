/* For builds without libsystemd: nobody is told. */
#include "system/desktop.h"

struct desktop_mail *desktop_send(const struct desktop_note *note, struct desktop_mail *before)
{
        (void)note;
        return before;
}

void desktop_await(struct desktop_mail *mail)
{
        (void)mail;
}
