/* What is remembered of runs is refused as a whole, or comes back the same after it was written. */
#include "base/buf.h"
#include "storage/history.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(buf_deinit) struct buf once = { .data = NULL }, twice = { .data = NULL };
        struct history h, again;

        if (history_parse(&h, (const char *)data, size) < 0)
                return 0;
        if (!h.destination || history_write(&h, &once) < 0 || history_parse(&again, once.data, once.size) < 0 ||
            history_write(&again, &twice) < 0 || once.size != twice.size ||
            memcmp(once.data, twice.data, once.size) != 0)
                abort();
        history_deinit(&h);
        history_deinit(&again);
        return 0;
}
