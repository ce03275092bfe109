"""What the common ports are for.

Labels are the names registered with IANA where the port is used for what it was registered for, else those of what is
commonly there: 8080 is `http-proxy` in the registry and a web server in practice.
"""

from __future__ import annotations

from typing import Final

_TCP: Final = """
1 tcpmux, 7 echo, 9 discard, 11 systat, 13 daytime, 15 netstat, 17 qotd, 19 chargen, 20 ftp-data, 21 ftp, 22 ssh,
23 telnet, 25 smtp, 37 time, 43 whois, 49 tacacs, 53 dns, 70 gopher, 79 finger, 80 http, 81 http, 82 http, 88 kerberos,
102 iso-tsap, 104 dicom, 106 pop3pw, 109 pop2, 110 pop3, 111 rpcbind, 113 ident, 119 nntp, 135 msrpc, 139 netbios-ssn,
143 imap, 179 bgp, 194 irc, 199 smux, 264 bgmp, 389 ldap, 427 slp, 443 https, 444 https, 445 smb, 465 smtps,
464 kpasswd, 497 retrospect, 502 modbus, 512 exec, 513 login, 514 shell, 515 printer, 523 ibm-db2, 543 klogin,
544 kshell, 548 afp, 554 rtsp, 563 nntps, 587 submission, 593 http-rpc-epmap, 623 ipmi, 631 ipp, 636 ldaps, 646 ldp,
666 doom, 789 redlion-crimson, 853 dns-over-tls, 873 rsync, 902 vmware-auth, 989 ftps-data, 990 ftps, 992 telnets,
993 imaps, 995 pop3s, 1025 msrpc, 1080 socks, 1099 rmiregistry, 1194 openvpn, 1200 codesys, 1352 lotusnotes,
1400 sonos, 1433 ms-sql, 1434 ms-sql-monitor, 1494 citrix-ica, 1521 oracle, 1720 h323, 1723 pptp, 1741 cisco-works,
1801 msmq, 1883 mqtt, 1900 upnp, 1911 niagara-fox, 1935 rtmp, 1962 pcworx, 2000 cisco-sccp, 2049 nfs, 2082 cpanel,
2083 cpanel-ssl, 2086 whm, 2087 whm-ssl, 2095 webmail, 2096 webmail-ssl, 2121 ftp, 2181 zookeeper, 2222 ssh,
2323 telnet, 2375 docker, 2376 docker-tls, 2379 etcd, 2380 etcd-peer, 2404 iec-104, 2455 codesys, 2480 orientdb,
2601 zebra, 3000 http, 3128 squid, 3260 iscsi, 3268 ldap-gc, 3269 ldaps-gc, 3299 saprouter, 3306 mysql, 3310 clamav,
3389 rdp, 3478 stun, 3632 distcc, 3689 daap, 3690 svn, 3780 nexpose, 4000 http, 4022 ssh, 4040 spark, 4063 ice,
4222 nats, 4369 epmd, 4443 https, 4444 metasploit, 4500 ipsec-nat-t, 4567 http, 4786 cisco-smart-install, 4840 opc-ua,
4848 glassfish, 4899 radmin, 4911 niagara-foxs, 5000 http, 5001 http, 5006 melsec, 5007 melsec, 5009 airport-admin,
5038 asterisk-ami, 5060 sip, 5061 sips, 5222 xmpp-client, 5269 xmpp-server, 5353 mdns, 5357 wsdapi, 5432 postgresql,
5555 adb, 5601 kibana, 5631 pcanywhere, 5671 amqps, 5672 amqp, 5683 coap, 5800 vnc-http, 5900 vnc, 5901 vnc, 5902 vnc,
5938 teamviewer, 5984 couchdb, 5985 winrm, 5986 winrm-ssl, 6000 x11, 6001 x11, 6379 redis, 6443 kubernetes,
6514 syslog-tls, 6667 irc, 6697 ircs, 6881 bittorrent, 7000 cassandra-peer, 7001 weblogic, 7002 weblogic-ssl,
7070 realserver, 7199 cassandra-jmx, 7474 neo4j, 7547 tr-069, 7548 tr-069-tls, 7687 neo4j-bolt, 7777 http, 8000 http,
8001 http, 8008 http, 8009 ajp, 8010 http, 8020 hadoop, 8080 http, 8081 http, 8082 http, 8083 http, 8086 influxdb,
8087 riak, 8088 http, 8089 splunkd, 8090 http, 8123 clickhouse, 8139 puppet, 8140 puppet, 8161 activemq, 8181 http,
8200 vault, 8291 mikrotik-winbox, 8333 bitcoin, 8443 https, 8444 https, 8500 consul, 8529 arangodb, 8545 ethereum-rpc,
8554 rtsp, 8728 mikrotik-api, 8729 mikrotik-api-ssl, 8834 nessus, 8880 http, 8883 mqtts, 8888 http, 8983 solr,
9000 http, 9001 http, 9042 cassandra, 9090 prometheus, 9091 http, 9092 kafka, 9093 alertmanager, 9100 jetdirect,
9160 cassandra-thrift, 9200 elasticsearch, 9300 elasticsearch-peer, 9389 adws, 9418 git, 9443 https, 9530 dvr,
9600 omron-fins, 9999 http, 10000 webmin, 10050 zabbix-agent, 10051 zabbix-server, 10250 kubelet, 10255 kubelet-ro,
10443 https, 11211 memcached, 11434 ollama, 15672 rabbitmq, 16010 hbase, 18245 ge-srtp, 19999 netdata, 20000 dnp3,
20547 proconos, 25565 minecraft, 25672 rabbitmq-peer, 26257 cockroachdb, 27017 mongodb, 27018 mongodb,
28017 mongodb-http, 30303 ethereum, 32400 plex, 33060 mysqlx, 34962 profinet, 37777 dahua-dvr, 44818 ethernet-ip,
47808 bacnet, 50000 sap-or-db2, 50070 hadoop-namenode, 51235 ripple, 61613 stomp, 61616 activemq-openwire,
62078 iphone-sync
"""
_UDP: Final = """
7 echo, 9 discard, 13 daytime, 17 qotd, 19 chargen, 37 time, 49 tacacs, 53 dns, 67 dhcp-server, 68 dhcp-client, 69 tftp,
88 kerberos, 111 rpcbind, 123 ntp, 137 netbios-ns, 138 netbios-dgm, 161 snmp, 162 snmp-trap, 177 xdmcp, 389 cldap,
427 slp, 443 quic, 464 kpasswd, 500 isakmp, 514 syslog, 520 rip, 521 ripng, 546 dhcpv6-client, 547 dhcpv6-server,
554 rtsp, 623 ipmi, 631 ipp, 1194 openvpn, 1434 ms-sql-monitor, 1604 citrix, 1645 radius, 1646 radius-acct, 1701 l2tp,
1812 radius, 1813 radius-acct, 1900 ssdp, 2049 nfs, 2055 netflow, 2123 gtp-control, 2152 gtp-user, 2302 dayz,
3283 apple-remote-desktop, 3389 rdp, 3478 stun, 3702 ws-discovery, 4500 ipsec-nat-t, 4789 vxlan, 5004 rtp, 5060 sip,
5093 sentinel-lm, 5351 nat-pmp, 5353 mdns, 5355 llmnr, 5683 coap, 5684 coaps, 6343 sflow, 6881 bittorrent-dht,
9600 omron-fins, 10001 ubiquiti-discovery, 11211 memcached, 17185 vxworks-debug, 20000 dnp3, 27015 steam,
27960 quake3, 30718 lantronix, 33434 traceroute, 34964 profinet-context, 37810 dahua-discovery, 41641 tailscale,
44818 ethernet-ip, 47808 bacnet, 51820 wireguard
"""
_SCTP: Final = (
    "36412 s1ap, 36422 x2ap, 2905 m3ua, 3868 diameter, 5868 diameter-tls, 38412 ngap, 2944 megaco, 9899 sctp-tunnel"
)


def _labels(text: str) -> dict[int, str]:
    return {int(port): name for port, name in (entry.split() for entry in text.split(","))}


COMMON: Final = {"tcp": _labels(_TCP), "udp": _labels(_UDP), "sctp": _labels(_SCTP)}
"""Protocol to port to label."""


def label(port: int, protocol: str) -> str:
    """A short label (`http`, `ssh`, `mongodb`) of a common port of `tcp`, `udp` or `sctp`; "" of any other."""
    return COMMON.get(protocol, {}).get(port, "")
