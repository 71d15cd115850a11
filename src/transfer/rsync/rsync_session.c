#include "transfer/rsync/rsync_session.h"

#include <assert.h>

const char *rsync_compression_name(enum rsync_compression c)
{
        static const char *const names[] = {
                [RSYNC_COMPRESSION_NONE] = "none",   [RSYNC_COMPRESSION_ZLIB] = "zlib",
                [RSYNC_COMPRESSION_ZLIBX] = "zlibx", [RSYNC_COMPRESSION_LZ4] = "lz4",
                [RSYNC_COMPRESSION_ZSTD] = "zstd",
        };

        assert(c < ARRAY_SIZE(names));
        return names[c];
}
