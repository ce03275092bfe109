"""Products that are one software under several names: sold, renamed, or never agreed upon.

Two sources, neither enough alone. What is known (`_KNOWN`) is a small table of products that changed hands or names.
What is learned comes from the names themselves: a vendor called like its product (`nginx:nginx`, `squid:squid`,
`proftpd_project:proftpd`) is what the NVD writes for a project before it finds out who makes it; it is the same
software as that of the one maker whose product of that name most CVEs are about. Lines that share a name are one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from spectra.intel.correlate.names import word
from spectra.model.vulns import Product

_TEXT: Final = r"""
apache:http_server apache:apache_http_server apache:apache apache:httpd apache:apache_webserver
f5:nginx nginx:nginx igor_sysoev:nginx f5:nginx_open_source
openbsd:openssh openssh:openssh
microsoft:internet_information_services microsoft:internet_information_server microsoft:iis
apache:tomcat apache:jakarta_tomcat apache_software_foundation:tomcat
eclipse:jetty mortbay:jetty mortbay_jetty:jetty jetty:jetty jetty:jetty_http_server
squid-cache:squid squid:squid squid:squid_web_proxy squid:squid_web_proxy_cache
squid-cache:squid national_science_foundation:squid_web_proxy_cache
oracle:mysql mysql:mysql sun:mysql oracle:mysql_server
mariadb:mariadb mariadb:mariadb_server
redis:redis redislabs:redis
vmware:spring_framework pivotal_software:spring_framework springsource:spring_framework pivotal:spring_framework
vmware:spring_framework vmware:springsource_spring_framework
vmware:spring_boot pivotal_software:spring_boot
vmware:spring_security pivotal_software:spring_security vmware:springsource_spring_security
vmware:rabbitmq pivotal_software:rabbitmq pivotal:rabbitmq
electronjs:electron atom:electron electron:electron
proftpd:proftpd proftpd_project:proftpd
x.org:xorg-server x.org:x_server x:x_server x:x.org-xserver x.org:x.org-xserver x.org:xserver xfree86:xfree86
x.org:xorg-server xfree86_project:xfree86 xfree86_project:x11r6 x.org:x.org x.org:x11 x:x11 x:x.org_x11
dropbear_ssh_project:dropbear_ssh matt_johnston:dropbear_ssh_server dropbear_ssh:dropbear_ssh
dropbear_ssh_project:dropbear_ssh dropbear:dropbear_ssh_server
isc:bind isc:bind_9
isc:dhcp isc:dhcpd isc:dhcp_server
exim:exim university_of_cambridge:exim
vsftpd_project:vsftpd beasts:vsftpd vsftpd:vsftpd
postfix:postfix wietse_venema:postfix
sendmail:sendmail eric_allman:sendmail proofpoint:sendmail
haxx:curl curl:curl daniel_stenberg:curl curl_project:curl haxx:libcurl curl:libcurl libcurl:libcurl
elastic:elasticsearch elasticsearch:elasticsearch elasticsearch:elasticsearch_server
elastic:kibana elasticsearch:kibana elasticsearch:kibana_server
elastic:logstash elasticsearch:logstash
digium:asterisk asterisk:asterisk sangoma:asterisk digium:certified_asterisk
nlnetlabs:unbound unbound:unbound
nlnetlabs:nsd nlnet_labs:nsd
memcached:memcached memcachedb:memcached
varnish_cache_project:varnish_cache varnish-software:varnish_cache varnish-cache:varnish_cache varnish-cache:varnish
varnish_cache_project:varnish_cache varnish.projects.linpro:varnish varnish-software:varnish
busybox:busybox rob_landley:busybox
apple:cups easy_software_products:cups cups:cups
jenkins:jenkins cloudbees:jenkins jenkins-ci:jenkins
wireshark:wireshark ethereal_group:ethereal ethereal:ethereal
oracle:weblogic_server bea:weblogic_server bea_systems:weblogic_server oracle:weblogic_portal
adobe:coldfusion macromedia:coldfusion allaire:coldfusion
uvnc:ultravnc ultravnc:ultravnc ultravnc:repeater
realvnc:realvnc vnc:realvnc realvnc:vnc
matomo:matomo piwik:piwik
openstack:glance openstack:image_registry_and_delivery_service_\(glance\)
openstack:nova openstack:compute_\(nova\) openstack:compute
openstack:keystone openstack:identity_\(keystone\)
openstack:swift openstack:object_storage_\(swift\)
openstack:neutron openstack:networking_\(neutron\)
openstack:cinder openstack:block_storage_\(cinder\)
openstack:horizon openstack:dashboard_\(horizon\)
dovecot:dovecot timo_sirainen:dovecot open-xchange:dovecot dovecot:imap_server
php:php php_group:php
lighttpd:lighttpd jan_kneschke:lighttpd
pureftpd:pure-ftpd pure-ftpd:pure-ftpd
cyrus:imap cyrusimap:cyrus_imap cmu:cyrus_imap_server carnegie_mellon_university:cyrus_imap_server cyrus:cyrus-imapd
openldap:openldap openldap_project:openldap
samba:samba samba_project:samba
samba:rsync rsync_project:rsync andrew_tridgell:rsync rsync:rsync
ntp:ntp ntp:ntpd
tuxfamily:chrony chrony:chrony chrony_project:chrony
eclipse:mosquitto mosquitto:mosquitto eclipse:mosquitto_mqtt
prosody:prosody prosody:prosody_im
openvpn:openvpn openvpn:openvpn_community
strongswan:strongswan strongswan:strong_swan
libreswan:libreswan libreswan_project:libreswan
zimbra:collaboration synacor:zimbra_collaboration_suite zimbra:zimbra_collaboration_suite zimbra:collaboration_suite
zimbra:collaboration synacor:zimbra_collaboration
litespeedtech:litespeed_web_server litespeed_technologies:litespeed_web_server litespeedtech:openlitespeed
acme:thttpd acme_labs:thttpd thttpd:thttpd sourceforge:thttpd
acme:mini_httpd acme_labs:mini_httpd
embedthis:goahead goahead_software:goahead_webserver goahead:goahead_webserver embedthis:goahead_webserver
cesanta:mongoose mongoose:mongoose cesanta:mongoose_embedded_web_server_library valenok:mongoose
allegrosoft:rompager allegro_software:rompager
filezilla-project:filezilla_server filezilla:filezilla_server
solarwinds:serv-u serv-u:serv-u rhinosoft:serv-u_file_server solarwinds:serv-u_file_server
solarwinds:serv-u solarwinds:serv-u_ftp_server serv-u:serv-u_ftp_server
altn:mdaemon alt-n:mdaemon mdaemon:mdaemon
hcltech:domino ibm:domino ibm:lotus_domino lotus:domino ibm:lotus_domino_server lotus:domino_server
hcltech:domino lotus:domino_r5_server ibm:lotus_domino_enterprise_server lotus:domino_enterprise_server
oracle:iplanet_web_server sun:java_system_web_server sun:one_web_server sun:iplanet_web_server
oracle:iplanet_web_server iplanet:iplanet_web_server netscape:enterprise_server iplanet:iplanet_enterprise_server
sun:java_system_application_server sun:one_application_server oracle:java_system_application_server
oracle:glassfish_server oracle:sun_glassfish_enterprise_server sun:glassfish_enterprise_server
oracle:application_server_web_cache oracle:web_cache
redhat:jboss_application_server jboss:jboss_application_server
twistedmatrix:twisted twistedmatrix:twistedweb
embedthis:appweb mbedthis_software:mbedthis_appweb_http_server mbedthis:appweb_http_server
caucho:resin caucho_technology:resin
aprelium:abyss_web_server_x1 aprelium_technologies:abyss_web_server aprelium:abyss_web_server
mongrel:mongrel zed_shaw:mongrel
nazgul:nostromo_nhttpd nazgul:nostromo
badblue:badblue working_resources_inc.:badblue
savant:savant_webserver michael_lamont:savant_webserver micheal_lamont:savant_webserver savant:savant_web_server
zeus:zeus_web_server zeus_technologies:zeus_web_server
imatix:xitami xitami:xitami
talend:restlet restlet:restlet restlet:restlet_framework
konghq:kong_gateway konghq:kong
xiph:icecast icecast:icecast
netdata:netdata my-netdata:netdata firehol:netdata
miniupnp_project:miniupnpd miniupnp.free:miniupnpd
libupnp_project:libupnp portable_sdk_for_upnp_project:portable_sdk_for_upnp
parallels:parallels_plesk_panel plesk:plesk parallels:plesk swsoft:plesk plesk:obsidian
control-webpanel:webpanel centos-webpanel:centos_web_panel
tableau:tableau_server tableausoftware:tableau_server
connectwise:control connectwise:screenconnect
thekelleys:dnsmasq dnsmasq:dnsmasq the_kelleys:dnsmasq
powerdns:authoritative_server powerdns:authoritative
powerdns:recursor powerdns:powerdns_recursor
communigate:communigate_pro stalker:communigate_pro
ipswitch:imail ipswitch:imail_server
argosoft:argosoft_mail_server argosoft:mail_server
mcafee:webshield_smtp mcafee:webshield network_associates:webshield_smtp network_associates:webshield
novell:groupwise microfocus:groupwise
apache:james apache:james_server
icewarp:mail_server icewarp:merak_mail_server merak:mail_server icewarp:server
washington_university:wu-ftpd university_of_washington:wu-ftpd wuftpd:wu-ftpd
progress:ws_ftp_server ipswitch:ws_ftp_server progress:ipswitch_ws_ftp_server
southrivertech:titan_ftp_server south_river_technologies:titan_ftp_server
xlightftpd:xlight_ftp_server xlight_ftp_server:xlight_ftp_server xlightftpd:xlight_ftp
cerberusftp:ftp_server cerberus:ftp_server grant_averett:cerberus_ftp_server
crushftp:crushftp ben_spink:crushftp_ftp_server
steve_poulsen:guildftpd guildftpd:guildftpd
maxum:rumpus maxum:rumpus_ftp maxum_development_corporation:rumpus_ftp_server
luke_mewburn:tnftpd netbsd:tnftpd
vandyke:vshell van_dyke_technologies:vshell
ssh:tectia_server ssh:secure_shell ssh:secure_shell_for_servers
attachmate:reflection_for_secure_it attachmatewrq:reflection_for_secure_it_server
attachmate:reflection_for_secure_it wrq:wrq_reflection_for_secure_it_windows_server
zimbra:collaboration synacor:zimbra_collaboration_server zimbra:collaboration_server zimbra:zimbra_collaboration_server
altn:mdaemon deerfield:mdaemon altn:mdaemon_email_server mdaemon:email_server
postgresql:postgresql postgresql_global_development_group:postgresql
h2database:h2 h2:h2
gitea:gitea go-gitea:gitea
lfprojects:mlflow mlflow:mlflow
hashicorp:vault hashicorp:vault_enterprise
traefik:traefik containous:traefik
envoyproxy:envoy envoyproxy_project:envoy
kubernetes:kubernetes google:kubernetes
etcd:etcd redhat:etcd coreos:etcd etcd-io:etcd
docker:docker docker:engine mobyproject:moby
phpmyadmin:phpmyadmin phpmyadmin_project:phpmyadmin
openssl:openssl openssl_project:openssl
gnu:gnutls gnutls:gnutls
libssh:libssh libssh_project:libssh
libssh2:libssh2 libssh2_project:libssh2
net-snmp:net-snmp net-snmp_project:net-snmp sourceforge:net-snmp
cisco:adaptive_security_appliance_software cisco:adaptive_security_appliance
pulsesecure:pulse_connect_secure ivanti:connect_secure pulsesecure:connect_secure juniper:pulse_connect_secure
citrix:netscaler_application_delivery_controller citrix:application_delivery_controller citrix:netscaler_adc
fortinet:fortios fortinet:forti_os
paloaltonetworks:pan-os palo_alto_networks:pan-os
vmware:vcenter_server vmware:vcenter
vmware:esxi vmware:vsphere_esxi
"""


def _known() -> list[list[tuple[str, str]]]:
    return [
        [(vendor, product) for vendor, _, product in (name.partition(":") for name in line.split())]
        for line in _TEXT.split("\n")
        if line
    ]


_KNOWN: Final = _known()


def _firsts() -> dict[tuple[str, str], tuple[str, str]]:
    firsts: dict[tuple[str, str], tuple[str, str]] = {}
    for names in _KNOWN:
        first = next((firsts[name] for name in names if name in firsts), names[0])
        firsts.update((name, first) for name in names)
    return firsts


_FIRSTS: Final = _firsts()
_SUFFIX: Final = re.compile(r"(?:_?project|_group|_team|_foundation|[._-]?org)$")
_JS: Final = re.compile(r"(?:[._-]?js)$")
_LEAD: Final = 3  # times as many CVEs as any other maker: the one that is meant
_SHORT: Final = 4  # letters; shorter names are shared by many


def families(counts: Mapping[Product, int]) -> dict[Product, Product]:
    """From each product that is another name of something to the one product that stands for all of them.

    `counts` says how many CVEs are about each product that there is. Products that stand for themselves are left out.
    """
    groups = _Groups()
    by_name: dict[tuple[str, str], list[Product]] = defaultdict(list)
    spelled: dict[tuple[str, str], list[Product]] = defaultdict(list)
    for product in counts:
        spelled[product.vendor, product.product].append(product)
        if product.part == "a":
            by_name[product.part, word(_JS.sub("", product.product))].append(product)
    for names in _KNOWN:
        for part in ("a", "o"):
            groups.unite(p for name in names for p in spelled.get(name, ()) if p.part == part)
    for (_, name), products in by_name.items():
        if len(name) >= _SHORT and len(products) > 1:
            _unite_makers(groups, name, products, counts)
    return groups.heads(counts)


def today(product: Product) -> Product:
    """What the feeds call `product` today, where it is known under several names; scanners keep old ones for years."""
    vendor, name = _FIRSTS.get((product.vendor, product.product), (product.vendor, product.product))
    return Product(product.part, vendor, name) if product.part != "h" else product


def _unite_makers(groups: _Groups, name: str, products: Iterable[Product], counts: Mapping[Product, int]) -> None:
    """Of products of one name: those whose vendor is called like the product, and the maker they belong to."""
    makers: dict[bool, list[Product]] = {True: [], False: []}
    others: list[Product] = []
    for product in products:
        vendor = _SUFFIX.sub("", product.vendor)
        script = bool(_JS.search(vendor) or _JS.search(product.product))
        if word(_JS.sub("", vendor)) == name:
            makers[script].append(product)  # libraries for JavaScript are not what they talk to
        else:
            others.append(product)
    groups.unite(makers[True])
    groups.unite(makers[False])
    own = [p for p in makers[False] if not _SUFFIX.search(p.vendor)]
    if not own or not others:
        return
    ranked = sorted(others, key=lambda p: counts[p], reverse=True)
    first, second = counts[ranked[0]], counts[ranked[1]] if len(ranked) > 1 else 0
    if first > sum(counts[p] for p in own) and first >= _LEAD * second:
        groups.unite([*own, ranked[0]])


class _Groups:
    """Disjoint sets of products."""

    def __init__(self) -> None:
        self._parent: dict[Product, Product] = {}

    def unite(self, products: Iterable[Product]) -> None:
        """Make one set of the sets that `products` are in."""
        first: Product | None = None
        for product in products:
            root = self._root(product)
            if first is None:
                first = root
            elif root != first:
                self._parent[root] = first

    def _root(self, product: Product) -> Product:
        while (above := self._parent.setdefault(product, product)) != product:
            self._parent[product] = product = self._parent[above]
        return product

    def heads(self, counts: Mapping[Product, int]) -> dict[Product, Product]:
        """Each member of a set to the one most CVEs are about, which itself is left out."""
        members: dict[Product, list[Product]] = defaultdict(list)
        for product in self._parent:
            members[self._root(product)].append(product)
        heads: dict[Product, Product] = {}
        for group in members.values():
            head = min(group, key=lambda p: (-counts.get(p, 0), p))
            heads.update((p, head) for p in group if p != head)
        return heads
