#!/bin/sh
# Runs in mmdebstrap, on the host, once the packages are installed in "$1": takes out what
# came from this host and puts in what a container wants.
set -eu
root=$1

# The container engine mounts its own ones over these.
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/etc/hosts"

# Services must not be started while packages are installed.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"

if [ -d "$root/etc/dpkg/dpkg.cfg.d" ]; then
    # An image is made anew when a build is cut short: syncing each file buys nothing. The
    # other file is mmdebstrap's, with the options of this run.
    rm -f "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
    echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/90-container"
fi

if [ -d "$root/etc/apt/apt.conf.d" ]; then
    cat > "$root/etc/apt/apt.conf.d/90-container" << 'CONF'
// Keep layers small: no translations, compressed lists, no packages left behind.
Acquire::Languages "none";
Acquire::GzipIndexes "true";
APT::AutoRemove::SuggestsImportant "false";
Binary::apt::APT::Keep-Downloaded-Packages "false";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
CONF
fi

# Copies that the tools leave, some with a date inside.
rm -f "$root"/var/lib/dpkg/*-old "$root"/var/cache/debconf/*-old "$root"/etc/*- "$root/etc/.pwd.lock"
rm -f "$root"/var/log/*.log "$root"/var/log/apt/* "$root/var/cache/ldconfig/aux-cache"
