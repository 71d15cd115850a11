/*
 * Numbers, bytes and names as the agent protocol writes them (docs/agent-protocol.md): little-endian, LEB128, zigzag.
 * A reader that was given something wrong stays broken and returns zeroes; who reads asks once, in the end.
 */
#pragma once

#include "base/util.h"

#include <time.h>

struct buf;

/* All return 0 or -ENOMEM. */
int pack_u8(struct buf *b, uint8_t n);
int pack_u16(struct buf *b, uint16_t n);
int pack_u32(struct buf *b, uint32_t n);
int pack_u64(struct buf *b, uint64_t n);
int pack_varint(struct buf *b, uint64_t n);
int pack_signed(struct buf *b, int64_t n);
int pack_bytes(struct buf *b, const void *data, size_t size);
int pack_text(struct buf *b, const char *text); /* NULL is "" */
int pack_time(struct buf *b, struct timespec t);

struct unpack {
        const unsigned char *data, *end; /* what is left; borrowed */
        bool broken;
};

struct unpack unpack_begin(const void *data, size_t size);

uint8_t unpack_u8(struct unpack *u);
uint16_t unpack_u16(struct unpack *u);
uint32_t unpack_u32(struct unpack *u);
uint64_t unpack_u64(struct unpack *u);
/* At most @max, or the reader is broken. */
uint64_t unpack_varint(struct unpack *u, uint64_t max);
int64_t unpack_signed(struct unpack *u);
/* At most @max bytes; they are borrowed from what is read. */
const void *unpack_bytes(struct unpack *u, size_t max, size_t *ret_size);
/* @size bytes; NULL when broken. */
const void *unpack_raw(struct unpack *u, size_t size);
struct timespec unpack_time(struct unpack *u);

/* Text or a path without NUL of at most @max bytes, malloc'd; NULL when broken or memory is short (then also broken).
 */
char *unpack_text(struct unpack *u, size_t max);

/* One component: no '/', no NUL, neither empty nor "." nor "..", at most 255 bytes. */
bool unpack_is_name(const void *data, size_t size);

/* Was all of it read, and right? */
bool unpack_end(const struct unpack *u);
