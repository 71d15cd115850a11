#!/usr/bin/python3
"""truecrypt-volume.py IMAGE PASSPHRASE [--vera PIM] [--hidden] [--keyfile FILE] >MASTER-KEY

Write the header of a TrueCrypt volume (or one of VeraCrypt) into IMAGE, for AES in XTS mode and PBKDF2 with SHA-512; the
data begins 128 KiB into the image. The key of the data (64 bytes) goes to standard output. After the description of the
format in the manuals of both programs ("Encryption scheme", "Volume format specification", "Keyfiles").
"""
import argparse
import ctypes
import hashlib
import os
import struct
import sys
import zlib

DATA_OFFSET = 128 * 1024
HIDDEN_HEADER_OFFSET = 64 * 1024


def encrypt(key, plain):
    """AES-256-XTS, data unit 0."""
    library = ctypes.CDLL("libcrypto.so.3")
    for function in "EVP_CIPHER_CTX_new", "EVP_aes_256_xts":
        getattr(library, function).restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.EVP_CIPHER_CTX_new())
    out, size = ctypes.create_string_buffer(len(plain)), ctypes.c_int(0)
    cipher = ctypes.c_void_p(library.EVP_aes_256_xts())
    assert library.EVP_EncryptInit_ex(context, cipher, None, key, bytes(16)) == 1
    assert library.EVP_EncryptUpdate(context, out, ctypes.byref(size), plain, len(plain)) == 1
    return out.raw


def with_keyfile(passphrase, content):
    """The passphrase of 64 bytes that a key file makes of one."""
    pool, at, crc = bytearray(passphrase.ljust(64, b"\0")), 0, 0
    for end in range(1, len(content) + 1):
        crc = zlib.crc32(content[:end]) ^ 0xFFFFFFFF
        for byte in crc.to_bytes(4, "big"):
            pool[at] = (pool[at] + byte) & 0xFF
            at = (at + 1) % 64
    return bytes(pool)


def header(magic, size, keys):
    """What is encrypted of the header."""
    begin = struct.pack(">4sHHI16xQQQQII120x", magic, 5, 0x0700, zlib.crc32(keys), 0, size, DATA_OFFSET, size, 0, 512)
    return begin + struct.pack(">I", zlib.crc32(begin)) + keys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("passphrase")
    parser.add_argument("--vera", type=int)
    parser.add_argument("--hidden", action="store_true")
    parser.add_argument("--keyfile")
    wanted = parser.parse_args()

    passphrase, salt, key = wanted.passphrase.encode(), os.urandom(64), os.urandom(64)
    if wanted.keyfile:
        with open(wanted.keyfile, "rb") as file:
            passphrase = with_keyfile(passphrase, file.read())
    iterations = 15000 + 1000 * wanted.vera if wanted.vera else 1000
    header_key = hashlib.pbkdf2_hmac("sha512", passphrase, salt, iterations, 64)
    size = os.path.getsize(wanted.image) - DATA_OFFSET
    plain = header(b"VERA" if wanted.vera else b"TRUE", size, key.ljust(256, b"\0"))
    with open(wanted.image, "r+b") as image:
        image.seek(HIDDEN_HEADER_OFFSET if wanted.hidden else 0)
        image.write(salt + encrypt(header_key, plain))
    sys.stdout.buffer.write(key)


main()
