#!/bin/sh
# Ready the unpacked system in $1: no compiler for queries (130 MB; jit is off), no cluster.
set -eu
rm -f "$1"/usr/lib/*/libLLVM*.so* "$1"/usr/lib/postgresql/*/lib/llvmjit.so
rm -rf "$1"/var/lib/postgresql/* "$1"/etc/postgresql/*
chroot "$1" install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data
