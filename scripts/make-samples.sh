#!/bin/bash
# Makes samples/: real servers of Debian 12 in network namespaces of their own, scanned by the real tools on two days.
#
#   sudo scripts/make-samples.sh OUTPUT_FOLDER
#
# Needs root, Debian 12, nmap, masscan, iproute2, ssh-keygen, and the project's virtual environment for certificates.
# Server packages are unpacked to a temporary folder, not installed. Addresses are the documentation ranges of RFC 5737
# and RFC 3849; no packet leaves the namespaces. What is started here is stopped here, by pid.
set -euo pipefail
export TZ=UTC LC_ALL=C.UTF-8

out=$(realpath -m "${1:?usage: make-samples.sh OUTPUT_FOLDER}")
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
chmod 755 "$work"
prefix=spectra-sample
hosts="10 20 30 53"
ports=21,22,53,80,443,1883,6379,8080

stop_servers() {
    for n in $hosts; do
        for pid in $(ip netns pids "$prefix-$n" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
    done
}

clean() {
    stop_servers
    for n in $hosts router scanner; do ip netns del "$prefix-$n" 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean EXIT

# --- packages: what both days share, and what is upgraded between them ---
unpack() { # unpack FOLDER PACKAGE...
    local folder=$work/$1; shift
    mkdir -p "$folder" "$work/debs" && cd "$work/debs"
    apt-get -o APT::Sandbox::User=root -q download "$@" >/dev/null
    for deb in *.deb; do dpkg -x "$deb" "$folder"; done
    rm -f -- *.deb && cd - >/dev/null
}
libraries="libwrap0 libapr1 libaprutil1 libaprutil1-dbd-sqlite3 libdlt2 libjemalloc2 liblzf1 libcjson1"
common="nginx redis-tools vsftpd dnsmasq-base lighttpd mosquitto media-types $libraries"
# shellcheck disable=SC2086
unpack both $common
unpack day1 openssh-server=1:9.2p1-2+deb12u7 apache2-bin=2.4.68-1~deb12u1
unpack day2 openssh-server=1:9.2p1-2+deb12u10 apache2-bin=2.4.71-1~deb12u1

# --- network: scanner -- router -- one bridge with a namespace for each host ---
add_namespace() { ip netns add "$prefix-$1" && ip -n "$prefix-$1" link set lo up; }
in_ns() { local n=$1; shift; ip netns exec "$prefix-$n" "$@"; }
connect() { # connect NAMESPACE ADDRESS ADDRESS6 : to the router's bridge
    add_namespace "$1"
    ip -n "$prefix-router" link add "v$1" type veth peer name eth0 netns "$prefix-$1"
    ip -n "$prefix-router" link set "v$1" master br0 up
    ip -n "$prefix-$1" link set eth0 up
    ip -n "$prefix-$1" address add "$2/24" dev eth0
    ip -n "$prefix-$1" address add "$3/64" dev eth0 nodad
    ip -n "$prefix-$1" route add default via 192.0.2.1
    ip -n "$prefix-$1" route add default via 2001:db8:0:1::1
}
add_namespace router
ip -n "$prefix-router" link add br0 type bridge
ip -n "$prefix-router" link set br0 up
ip -n "$prefix-router" address add 192.0.2.1/24 dev br0
ip -n "$prefix-router" address add 2001:db8:0:1::1/64 dev br0 nodad
in_ns router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
add_namespace scanner
ip -n "$prefix-router" link add vscan type veth peer name eth0 netns "$prefix-scanner"
ip -n "$prefix-router" link set vscan up
ip -n "$prefix-router" address add 198.51.100.1/24 dev vscan
ip -n "$prefix-router" address add 2001:db8:0:2::1/64 dev vscan nodad
ip -n "$prefix-scanner" link set eth0 up
ip -n "$prefix-scanner" address add 198.51.100.2/24 dev eth0
ip -n "$prefix-scanner" address add 2001:db8:0:2::2/64 dev eth0 nodad
ip -n "$prefix-scanner" route add default via 198.51.100.1
ip -n "$prefix-scanner" route add default via 2001:db8:0:2::1
connect 10 192.0.2.10 2001:db8:0:1::10
connect 20 192.0.2.20 2001:db8:0:1::20
connect 53 192.0.2.53 2001:db8:0:1::53

# --- what the servers need ---
for n in 10 20 30; do
    mkdir -p "$work/keys/$n"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/keys/$n/ed25519"
    ssh-keygen -q -t ecdsa -N '' -C '' -f "$work/keys/$n/ecdsa"
done
"$here/.venv/bin/python" "$here/scripts/sample_certificates.py" "$work"
mkdir -p "$work/www" "$work/staging" "$work/sensor" "$work/ftp" "$work/run" "$work/log"
printf '<title>Example Bakery</title><h1>Fresh bread, every day</h1>\n' >"$work/www/index.html"
printf '<title>Example Bakery (staging)</title>\n' >"$work/staging/index.html"
printf '<title>Greenhouse sensors</title>\n' >"$work/sensor/index.html"
ln -s "$work/both/usr/bin/redis-check-rdb" "$work/redis-server" # one program, which looks at its name
cp /etc/passwd "$work/passwd" && grep -q '^sshd:' "$work/passwd" ||
    echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin' >>"$work/passwd"
grep -q '^ftp:' "$work/passwd" || echo "ftp:x:65532:65534::$work/ftp:/usr/sbin/nologin" >>"$work/passwd"

start() { # start NAMESPACE DAY COMMAND... : in a mount namespace with its own /run, /var/log and /etc/passwd
    local n=$1 day=$2; shift 2
    local lib=usr/lib/x86_64-linux-gnu
    ip netns exec "$prefix-$n" unshare --mount sh -c '
        mount -t tmpfs tmpfs /run && mkdir -p /run/sshd /run/vsftpd/empty && mount --bind "$0" /etc/passwd &&
        mount -t tmpfs tmpfs /var/log && mount -t tmpfs tmpfs /var/lib && mkdir -p /var/lib/nginx /var/log/nginx &&
        exec "$@"' "$work/passwd" \
        env LD_LIBRARY_PATH="$work/both/$lib:$work/both/lib/x86_64-linux-gnu:$work/$day/$lib" \
        "$@" >>"$work/log/$n-$day.log" 2>&1 &
    disown # no word from the shell when it is killed
}
ssh_server() { # ssh_server HOST DAY
    start "$1" "$2" "$work/$2/usr/sbin/sshd" -D -e -f /dev/null \
        -h "$work/keys/$1/ed25519" -h "$work/keys/$1/ecdsa" -o UsePAM=no
}
write_configurations() { # write_configurations DAY
    local modules=$work/$1/usr/lib/apache2/modules
    cat >"$work/nginx.conf" <<CONF
daemon off; user nobody nogroup; error_log stderr; pid $work/run/nginx.pid;
events {}
http {
    access_log off; default_type text/html;
    server { listen 80; listen [::]:80; root $work/www; }
    server { listen 443 ssl; listen [::]:443 ssl; root $work/www;
             ssl_certificate $work/$1.crt; ssl_certificate_key $work/$1.key; }
}
CONF
    cat >"$work/apache.conf" <<CONF
ServerRoot $work/staging
ServerName staging.example.org
Listen 8080
PidFile $work/run/apache-$1.pid
ErrorLog /dev/stderr
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule dir_module $modules/mod_dir.so
User nobody
Group nogroup
DocumentRoot $work/staging
DirectoryIndex index.html
CONF
    cat >"$work/vsftpd.conf" <<CONF
listen=YES
background=NO
anonymous_enable=YES
anon_root=$work/ftp
ftpd_banner=Example Bakery file drop
secure_chroot_dir=/run/vsftpd/empty
seccomp_sandbox=NO
CONF
    cat >"$work/lighttpd.conf" <<CONF
server.document-root = "$work/sensor"
server.port = 80
server.modules = ()
index-file.names = ( "index.html" )
CONF
    printf 'listener 1883\nallow_anonymous true\n' >"$work/mosquitto.conf"
}

run_day() { # run_day DAY
    write_configurations "$1"
    ssh_server 10 "$1"
    start 10 "$1" "$work/both/usr/sbin/nginx" -c "$work/nginx.conf"
    start 10 "$1" "$work/$1/usr/sbin/apache2" -DFOREGROUND -f "$work/apache.conf"
    ssh_server 20 "$1"
    start 20 "$1" "$work/both/usr/sbin/vsftpd" "$work/vsftpd.conf"
    start 53 "$1" "$work/both/usr/sbin/dnsmasq" --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
        --host-record=www.example.org,192.0.2.10,2001:db8:0:1::10 --host-record=files.example.org,192.0.2.20 \
        --host-record=sensors.example.org,192.0.2.30 --host-record=ns.example.org,192.0.2.53
    if [ "$1" = day1 ]; then # a cache that answers anybody, and is not there the day after
        start 10 "$1" "$work/redis-server" --bind 192.0.2.10 --protected-mode no --save ''
    else # a host that was not there the day before
        connect 30 192.0.2.30 2001:db8:0:1::30
        start 30 "$1" "$work/both/usr/sbin/lighttpd" -D -m "$work/both/usr/lib/lighttpd" -f "$work/lighttpd.conf"
        start 30 "$1" "$work/both/usr/sbin/mosquitto" -c "$work/mosquitto.conf"
    fi
    wait_for 10 22 && wait_for 10 443 && wait_for 10 8080 && wait_for 20 21 && wait_for 20 22 && wait_for 53 53
    if [ "$1" = day1 ]; then wait_for 10 6379; else wait_for 30 80 && wait_for 30 1883; fi
}
wait_for() { # wait_for HOST PORT
    for _ in $(seq 100); do
        in_ns scanner bash -c "exec 3<>/dev/tcp/192.0.2.$1/$2" 2>/dev/null && return
        read -rt 0.1 <> <(:) || true
    done
    echo "192.0.2.$1 port $2 does not answer:" >&2 && cat "$work/log/$1"-*.log >&2 && return 1
}

scan() { # scan DAY
    mkdir -p "$out/$1"
    in_ns scanner nmap -PE -sS -sV -T4 -R --no-stylesheet --dns-servers 192.0.2.53 -p "$ports" \
        --script banner,http-title,http-server-header,ssl-cert,ssh-hostkey -oX - \
        --exclude 192.0.2.1 192.0.2.0/26 >"$out/$1/nmap.xml"
    in_ns scanner nmap -6 -Pn -sS -sV -T4 -n --no-stylesheet -p "$ports" \
        --script banner,http-title,ssl-cert,ssh-hostkey -oX - 2001:db8:0:1::10 >"$out/$1/nmap-ipv6.xml"
    in_ns scanner nmap -sU -sV -T4 -n --no-stylesheet -p 53,123,161 \
        --script dns-nsid -oX - 192.0.2.53 >"$out/$1/nmap-udp.xml"
    local mac
    mac=$(in_ns router cat /sys/class/net/vscan/address)
    in_ns scanner masscan -e eth0 --adapter-ip 198.51.100.3 --router-mac "$mac" --wait 3 --rate 500 \
        -p "$ports" 192.0.2.0/26 -oJ "$out/$1/masscan.json" 2>"$work/log/masscan"
}

for day in day1 day2; do
    run_day "$day"
    scan "$day"
    stop_servers
done
# Minutes passed between the two scans; the first one's times are set back so that they are a day apart.
"$here/.venv/bin/python" "$here/scripts/shift_times.py" -86400 "$out"/day1/*
