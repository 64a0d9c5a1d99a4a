#!/usr/bin/env bash
# Installs what is missing for `make quickstart`, `test`, `bench`, `fuzz` or `kryoptic`, by apt, after saying what and
# why. Nothing that is there is touched, nothing is removed, and no service of an installed package is started.
# Usage: scripts/install.sh quickstart|test|bench|parsec|fuzz|kryoptic
set -euo pipefail

# For which purpose, the package, what shows that it is there (a program or a file), and why it is needed.
needs() {
    cat <<'LIST'
quickstart gcc                 cc                                  links Rust programs, compiles SQLite and ring
quickstart libc6-dev           /usr/include/stdlib.h               the C library to link with
quickstart libpcsclite-dev     /usr/include/PCSC/winscard.h        the library to smart cards, to link with
quickstart pkg-config          pkg-config                          finds that
quickstart ca-certificates     /etc/ssl/certs/ca-certificates.crt  who vouches for servers on the internet
quickstart softhsm2            softhsm2-util                       a token in software: the root key lives on it
quickstart notary              notary-server                       the real Notary: server, signer and its own client
quickstart docker-registry     docker-registry                     the real registry
quickstart docker.io           dockerd                             the real Docker Engine
quickstart docker.io           docker                              Docker's own client, the independent judge
test       opensc              pkcs11-tool                         looks at tokens from outside
test       openssl             openssl                             checks keys, certificates and signatures from outside
test       gdb                 gcore                               looks for keys in a dump of the daemon's memory
test       strace              strace                              makes writes fail, and ends programs between two
test       faketime            faketime                            a clock that jumps or hurries, for one program alone
test       mount               mount                               a small disk that can be full
test       systemd             systemd-socket-activate             hands the daemon a socket, as a service manager does
test       mariadb-server-core mariadbd                            keeps what the Notary server has while that is killed
test       swtpm               swtpm                               a TPM in software
test       libtpm2-pkcs11-1    /usr/lib/*/pkcs11/libtpm2_pkcs11.so PKCS#11 on a TPM: the second kind of token
test       libtss2-tcti-swtpm0 /usr/lib/*/libtss2-tcti-swtpm.so.0  the way from there to the TPM in software
test       pcscd               pcscd                               the service for smart cards
test       vsmartcard-vpcd     /usr/lib/pcsc/drivers/serial/libifdvpcd.so readers for cards in software
test       yubico-piv-tool     yubico-piv-tool                     Yubico's tool, which takes such a card for a YubiKey
test       ykcs11              /usr/lib/*/libykcs11.so             Yubico's PKCS#11 module, which notary uses too
test       chromium           chromium                            a real browser, which prints the report of a ceremony
bench      openssh-client      ssh-agent                           OpenSSH's agent, counted beside ours
bench      pcscd               pcscd                               the service for smart cards
bench      vsmartcard-vpcd     /usr/lib/pcsc/drivers/serial/libifdvpcd.so readers for cards in software
parsec     libclang-dev        /usr/lib/llvm-*/lib/libclang*.so*   reads headers for parsec
parsec     cmake               cmake                               builds a part of parsec
kryoptic   libclang-dev        /usr/lib/llvm-*/lib/libclang*.so*   reads the headers of OpenSSL for kryoptic
kryoptic   libssl-dev          /usr/include/openssl/ssl.h          OpenSSL, which kryoptic computes with
kryoptic   pkg-config          pkg-config                          finds OpenSSL
fuzz       g++                 c++                                 compiles libFuzzer
LIST
}

there() { # a program's name, or a path which may have a *
    case $1 in
        /*) compgen -G "$1" >/dev/null ;;
        *) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null ;;
    esac
}

# Debian 13 and later have Docker's client in a package of its own; Ubuntu 22.04 has MariaDB's version in the name.
package_of() {
    case "$1 $2" in
        "docker.io docker") if apt-cache show docker-cli >/dev/null 2>&1; then echo docker-cli; else echo "$1"; fi ;;
        "mariadb-server-core mariadbd")
            if apt-cache show "$1" >/dev/null 2>&1; then echo "$1"
            else apt-cache pkgnames "$1-" | sort -V | tail -1; fi ;;
        *) echo "$1" ;;
    esac
}

list_missing() {
    local purpose package mark why
    needs | while read -r purpose package mark why; do
        # Ubuntu has its browser as a snap alone, which no test can start in a folder of its own.
        [ "$package" != chromium ] || [ -z "${TOUCHMARK_WITHOUT_BROWSER:-}" ] || continue
        if [ "$purpose" = quickstart ] || [ "$purpose" = "$1" ]; then
            there "$mark" || printf '%-20s %s\n' "$(package_of "$package" "$mark")" "$why"
        fi
    done
}

packages_for() {
    list_missing "$1" | awk '{print $1}' | sort -u | tr '\n' ' '
}

install_packages_for() {
    local policy=/usr/sbin/policy-rc.d kept=''
    if [ -e "$policy" ]; then kept=$(mktemp) && cp -p "$policy" "$kept"; fi
    # Debian's own switch: with exit code 101 no package may start its service.
    trap 'if [ -n "'"$kept"'" ]; then cp -p "'"$kept"'" '"$policy"'; rm -f "'"$kept"'"; else rm -f '"$policy"'; fi' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    apt-get update -q
    local packages
    packages=$(packages_for "$1") # again: only now apt knows every package's name here
    # shellcheck disable=SC2086 # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends --no-remove $packages
    # shellcheck disable=SC2086
    keep_off $packages
}

# What was just installed would start at the next boot, or with the next start of a pcscd.
keep_off() {
    local package
    for package in "$@"; do
        # Its readers would listen on every address of this machine. The tests name them to a pcscd of their own.
        if [ "$package" = vsmartcard-vpcd ]; then sed -i 's/^[^#]/# &/' /etc/reader.conf.d/vpcd; fi
        [ -d /run/systemd/system ] || continue
        case $package in
            docker.io) systemctl disable --quiet docker.service docker.socket containerd.service || true ;;
            pcscd) systemctl disable --quiet pcscd.socket pcscd.service || true ;;
            docker-registry) systemctl disable --quiet docker-registry.service || true ;;
        esac
    done
}

purpose=${1:?usage: scripts/install.sh quickstart|test|bench|parsec|fuzz|kryoptic}
if ! command -v cargo >/dev/null; then
    echo "cargo is not in PATH. Touchmark is built with Rust 1.90 or later: https://rustup.rs" >&2
    exit 1
fi
missing=$(list_missing "$purpose")
[ -n "$missing" ] || exit 0
printf 'make %s needs these packages:\n%s\n' "$purpose" "$missing" | sed '2,$s/^/  /' >&2
if ! command -v apt-get >/dev/null; then
    echo "There is no apt-get here: install them by hand, then run make $purpose again." >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "Only root may install them. Type:" >&2
    echo "  sudo apt-get update && sudo apt-get install --no-install-recommends $(packages_for "$purpose")" >&2
    exit 1
fi
install_packages_for "$purpose"
still=$(list_missing "$purpose")
if [ -n "$still" ]; then
    printf 'Installed, but this is still missing:\n%s\n' "$still" >&2
    exit 1
fi
