#include "transfer/ssh/ssh_link.h"

#include "base/err.h"
#include "base/path.h"
#include "base/stop.h"

#include <fcntl.h>
#include <poll.h>

enum { TEXT_SHOWN_MAX = 400 };

int ssh_link_wait(const struct ssh_link *link, const char *what, struct err *err)
{
        bool writes = ssh_get_poll_flags(link->session) & SSH_WRITE_PENDING;
        int r;

        /* It says SSH_AGAIN as well when the server has hung up, and the descriptor may be somebody else's by now. */
        if (!ssh_is_connected(link->session))
                return ssh_link_error(link, what, err);
        /* libssh has it block as soon as it takes it for connected, whatever it was before. */
        (void)fcntl(link->fd, F_SETFL, O_NONBLOCK);
        r = stop_wait_for(link->fd, (short)(POLLIN | (writes ? POLLOUT : 0)), stop_deadline_us(link->patience_s), err);
        if (r == STOP_WAIT_READY)
                return 0;
        if (r < 0)
                return r;
        return err_runf(err, -ETIMEDOUT, "cannot %s %s: the server has said nothing for %u s", what, link->name,
                        link->patience_s);
}

int ssh_link_error(const struct ssh_link *link, const char *what, struct err *err)
{
        char shown[TEXT_SHOWN_MAX];

        path_show(NULL, ssh_get_error(link->session), shown, sizeof(shown));
        return err_runf(err, -EIO, "cannot %s %s: %s", what, link->name, *shown ? shown : "the connection was closed");
}
