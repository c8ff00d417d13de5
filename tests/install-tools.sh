#!/usr/bin/env bash
# Installs what the tests need from Debian's packages: a real browser, the exporters that the agent is compared with,
# the Prometheus that queries are compared with, the services that the agent watches (databases, web servers, a JVM, SSH),
# what drills do with databases and networks (Patroni on etcd, nftables), the renderer of PDF and a mail server. Does
# nothing where they are there already.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
command -v prometheus-node-exporter >/dev/null || missing+=(prometheus-node-exporter)
command -v prometheus >/dev/null || missing+=(prometheus)
/usr/bin/python3 -c 'import weasyprint' 2>/dev/null || missing+=(weasyprint)
/usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || missing+=(python3-aiosmtpd)
command -v prometheus-blackbox-exporter >/dev/null || missing+=(prometheus-blackbox-exporter)
command -v systemd-analyze >/dev/null || missing+=(systemd)
command -v strace >/dev/null || missing+=(strace)
command -v nginx >/dev/null || missing+=(nginx-light)
command -v apache2 >/dev/null || missing+=(apache2-bin)
command -v bindfs >/dev/null || missing+=(bindfs fuse3)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v sshd >/dev/null || [ -x /usr/sbin/sshd ] || missing+=(openssh-server)
command -v javac >/dev/null || missing+=(default-jdk-headless)
[ -e /usr/share/java/jolokia-core.jar ] || missing+=(libjolokia-core-java)
[ -e /usr/share/java/json-simple.jar ] || missing+=(libjson-simple-java)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
command -v patroni >/dev/null || missing+=(patroni python3-etcd)
command -v etcd >/dev/null || missing+=(etcd-server)
command -v nft >/dev/null || missing+=(nftables)
command -v ip >/dev/null || missing+=(iproute2)
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
