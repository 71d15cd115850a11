#!/usr/bin/env python3
"""The torture tree.

    torture.py make ROOT [--seed N] [--size small|medium|large] [--unprivileged]     fill the empty directory ROOT
    torture.py mutate ROOT --seed N [--count M] [--unprivileged]                     change it, one line per change

What ROOT's filesystem cannot hold is left out with a note on standard error. --unprivileged keeps to what an ordinary
user's backup can read and keep in full.
"""
import argparse
import os
import sys

import make
import mutate


def main():
    parser = argparse.ArgumentParser(description="make or change the torture tree")
    parser.add_argument("verb", choices=("make", "mutate"))
    parser.add_argument("root", type=os.fsencode)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", choices=tuple(make.SIZES), default="small")
    parser.add_argument("--count", type=int, default=60, help="number of mutations")
    parser.add_argument("--xattr-max", type=int, default=3000, help="bytes of the largest xattr value; ext4 takes 4 KB")
    parser.add_argument("--unprivileged", action="store_true")
    args = parser.parse_args()
    if args.verb == "make":
        make.Maker(args.seed, args.size, not args.unprivileged, args.xattr_max).make(args.root)
    else:
        mutate.Mutator(args.seed, not args.unprivileged).run(args.root, args.count)


if __name__ == "__main__":
    sys.exit(main())
