#!/bin/sh
# Installs Coq, its standard library included, where apt-get can; otherwise says what to install. Never fails.

if command -v coqc >/dev/null; then
    exit 0
fi

needed="coqc is not installed; it comes with Coq 8.16 or newer (Debian, Ubuntu: apt-get install coq)"
if ! command -v apt-get >/dev/null; then
    echo "$needed"
    exit 0
fi

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "$needed, as root"
    exit 0
fi

echo "Installing coq with apt-get (a minute)"
export DEBIAN_FRONTEND=noninteractive
if ! { $as_root apt-get -qq update && $as_root apt-get -qq install --yes --no-install-recommends coq; } >/dev/null 2>&1; then
    echo "apt-get could not install it: $needed"
fi
exit 0
