/* What the two ends of a conversation have agreed on before it begins. */
#pragma once

#include "base/util.h"
#include "transfer/rsync/rsync_digest.h"

enum { RSYNC_PROTOCOL_MIN = 30, RSYNC_PROTOCOL_MAX = 32 };

enum rsync_compression {
        RSYNC_COMPRESSION_NONE,
        RSYNC_COMPRESSION_ZLIB,
        RSYNC_COMPRESSION_ZLIBX,
        RSYNC_COMPRESSION_LZ4,
        RSYNC_COMPRESSION_ZSTD,
};

/* As it is negotiated: "zstd". */
const char *rsync_compression_name(enum rsync_compression c);

/* Compat flags; bits (docs/rsync-protocol.md, section 3). */
enum rsync_compat {
        RSYNC_COMPAT_INCREMENTAL = 1 << 0,   /* lists of directories come one by one */
        RSYNC_COMPAT_SAFE_LIST_END = 1 << 3, /* an error may stand at the end of a list; always set from 31 on */
        RSYNC_COMPAT_LINKED_XATTRS = 1 << 4, /* further names of a file have their attributes asked for, too */
        RSYNC_COMPAT_SEED_FIRST = 1 << 5,    /* of MD5 */
        RSYNC_COMPAT_INPLACE_PARTIAL = 1 << 6,
        RSYNC_COMPAT_VARINT_FLAGS = 1 << 7, /* flags of entries are varints, names of algorithms were exchanged */
        RSYNC_COMPAT_ZERO_ID_NAMES = 1 << 8,
};

struct rsync_session {
        int protocol;    /* 30 to 32 */
        unsigned compat; /* rsync_compat */
        enum rsync_checksum checksum;
        enum rsync_compression compression;
        int32_t seed;
};
