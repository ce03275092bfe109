"""Products that are known by name, for services whose scanner gave no CPE.

A name here means exactly one product: what several makers call theirs is left out. Names are compared in lower case as
nmap, the Server header or the banner write them; vendors and products are those of the NVD's dictionary today.
"""

from __future__ import annotations

from typing import Final

_TEXT: Final = """
f5:nginx = nginx
apache:http_server = apache httpd | apache http server | apache
openbsd:openssh = openssh | openssh for windows | openssh sshd
lighttpd:lighttpd = lighttpd
microsoft:internet_information_services = microsoft iis httpd | microsoft-iis | microsoft iis
apache:tomcat = apache tomcat
eclipse:jetty = eclipse jetty
openresty:openresty = openresty | openresty web app server
litespeedtech:litespeed_web_server = litespeed httpd | litespeed
caddyserver:caddy = caddy | caddy httpd
traefik:traefik = traefik
haproxy:haproxy = haproxy | haproxy http proxy
squid-cache:squid = squid | squid http proxy | squid-cache
varnish_cache_project:varnish_cache = varnish | varnish http accelerator
apache:traffic_server = apache traffic server
envoyproxy:envoy = envoy
acme:thttpd = thttpd
acme:mini_httpd = mini_httpd
acme:micro_httpd = micro_httpd
boa:boa = boa httpd | boa
embedthis:goahead = goahead webserver | goahead-webs
cherokee-project:cherokee = cherokee httpd
hiawatha-webserver:hiawatha = hiawatha httpd
cesanta:mongoose = mongoose httpd
allegrosoft:rompager = allegro rompager | rompager
gunicorn:gunicorn = gunicorn
palletsprojects:werkzeug = werkzeug httpd | werkzeug
tornadoweb:tornado = tornado httpd | tornadoserver
encode:uvicorn = uvicorn
puma:puma = puma httpd
phusion:passenger = phusion passenger
vsftpd_project:vsftpd = vsftpd
proftpd:proftpd = proftpd
pureftpd:pure-ftpd = pure-ftpd
filezilla-project:filezilla_server = filezilla ftpd | filezilla server
solarwinds:serv-u = serv-u ftpd
bftpd_project:bftpd = bftpd
postfix:postfix = postfix smtpd | postfix
exim:exim = exim smtpd | exim
sendmail:sendmail = sendmail
openbsd:opensmtpd = opensmtpd | opensmtpd smtpd
hmailserver:hmailserver = hmailserver smtpd | hmailserver imapd | hmailserver pop3d | hmailserver
altn:mdaemon = mdaemon smtpd | mdaemon imapd | mdaemon pop3d
microsoft:exchange_server = microsoft exchange smtpd | microsoft exchange imapd | microsoft exchange 2013 pop3d
microsoft:exchange_server = microsoft exchange pop3d
dovecot:dovecot = dovecot | dovecot imapd | dovecot pop3d | dovecot sieve
cyrus:imap = cyrus imapd | cyrus pop3d
dropbear_ssh_project:dropbear_ssh = dropbear sshd | dropbear
libssh:libssh = libssh
bitvise:winsshd = bitvise winsshd
paramiko:paramiko = paramiko python sshd
oracle:mysql = mysql
mariadb:mariadb = mariadb
postgresql:postgresql = postgresql | postgresql db
redis:redis = redis | redis key-value store | redis server
lfprojects:valkey = valkey
mongodb:mongodb = mongodb
memcached:memcached = memcached
elastic:elasticsearch = elasticsearch | elasticsearch rest api
elastic:kibana = kibana | elasticsearch kibana
apache:couchdb = couchdb | couchdb httpd | apache couchdb
apache:cassandra = apache cassandra
apache:zookeeper = zookeeper | apache zookeeper
apache:activemq = activemq | apache activemq
influxdata:influxdb = influxdb | influxdb http admin
microsoft:sql_server = microsoft sql server
oracle:database_server = oracle database
firebirdsql:firebird = firebird rdbms
isc:bind = isc bind | bind | bind9
thekelleys:dnsmasq = dnsmasq
nlnetlabs:unbound = unbound
nlnetlabs:nsd = nlnet labs nsd | nsd
powerdns:authoritative_server = powerdns authoritative server
powerdns:recursor = powerdns recursor
knot-dns:knot_dns = knot dns
samba:samba = samba | samba smbd | samba smbd 4
openldap:openldap = openldap
ntp:ntp = ntpd
tuxfamily:chrony = chronyd
net-snmp:net-snmp = net-snmp
eclipse:mosquitto = mosquitto | eclipse mosquitto | mosquitto version
vmware:rabbitmq = rabbitmq
prosody:prosody = prosody | prosody xmpp server
process-one:ejabberd = ejabberd
digium:asterisk = asterisk | asterisk pbx
kamailio:kamailio = kamailio
openvpn:openvpn = openvpn
strongswan:strongswan = strongswan
apple:cups = cups
webmin:webmin = miniserv | webmin httpd | webmin
grafana:grafana = grafana | grafana http
prometheus:prometheus = prometheus
jenkins:jenkins = jenkins
gitlab:gitlab = gitlab
gitea:gitea = gitea
sonatype:nexus_repository_manager = nexus repository manager | sonatype nexus
docker:docker = docker
kubernetes:kubernetes = kubernetes
etcd:etcd = etcd
hashicorp:consul = consul
hashicorp:vault = hashicorp vault
minio:minio = minio | minio object storage
oracle:weblogic_server = oracle weblogic server | oracle weblogic | weblogic
redhat:jboss_wildfly_application_server = wildfly
neutrinolabs:xrdp = xrdp
tigervnc:tigervnc = tigervnc
realvnc:realvnc = realvnc | realvnc enterprise
busybox:busybox = busybox telnetd | busybox httpd | busybox http
samba:rsync = rsyncd
g.rodola:pyftpdlib = pyftpdlib
zimbra:collaboration = zimbra smtpd | zimbra imapd | zimbra pop3d
twistedmatrix:twisted = twistedweb httpd | twistedweb | twisted ssh
aiohttp_project:aiohttp = aiohttp
cherrypy:cherrypy = cherrypy wsgiserver | cherrypy
ruby-lang:webrick = webrick httpd | webrick
embedthis:appweb = appweb httpd | embedthis-appweb | mbedthis-appweb
nazgul:nostromo_nhttpd = nostromo
yaws:yaws = yaws
aprelium:abyss_web_server_x1 = abyss httpd
rejetto:http_file_server = httpfileserver httpd
microsoft:personal_web_server = microsoft personal web server | microsoft-pws
oracle:http_server = oracle http server
oracle:iplanet_web_server = oracle iplanet web server
oracle:glassfish_server = glassfish application server | glassfish
sun:java_system_web_server = sun java system web server | sun one web server
sun:java_system_web_proxy_server = sun java system web proxy server
sun:java_system_application_server = sun java system application server
netscape:enterprise_server = netscape enterprise server | netscape-enterprise
ibm:http_server = ibm http server | ibm_http_server
ibm:websphere_application_server = ibm websphere application server
caucho:resin = caucho resin
payara:payara_server = payara server
hcltech:domino = ibm domino httpd | ibm domino smtpd | ibm domino pop3d | ibm domino imapd | lotus domino httpd
hcltech:domino = lotus domino smtpd | lotus domino | ibm domino | hcl domino
cpanel:cpanel = cpanel httpd | cpanel
parallels:parallels_plesk_panel = plesk httpd
xiph:icecast = icecast streaming media server | icecast
ntop:ntopng = ntopng
netdata:netdata = netdata
paessler:prtg_network_monitor = paessler prtg
splunk:splunk = splunkd httpd
miniupnp_project:miniupnpd = miniupnp | miniupnpd
wftpserver:wing_ftp_server = wing ftp server httpd | wing ftp server
communigate:communigate_pro = communigate pro httpd | communigate pro smtpd | communigate pro imapd
communigate:communigate_pro = communigate pro pop3d | communigate pro
ipswitch:imail = imail httpd | imail smtpd
hp:system_management_homepage = hp system management homepage
amazon:amazon_simple_storage_service = amazon s3 httpd
washington_university:wu-ftpd = wu-ftpd
progress:ws_ftp_server = ws_ftp ftpd | ws_ftp sshd | ipswitch ws_ftp ftpd
netwin:surgeftp = netwin surgeftp
southrivertech:titan_ftp_server = titan ftp server
cerberusftp:ftp_server = cerberus ftp server | cerberus ftp server sshd
coreftp:core_ftp = core ftp server | core ftp sshd
crushftp:crushftp = crushftp | crushftp sshd
vandyke:vshell = vandyke vshell
ssh:tectia_server = ssh tectia server
attachmate:reflection_for_secure_it = attachmate reflection for secure it sshd
apache:james = apache james smtpd
novell:groupwise = novell groupwise
kerio:connect = kerio connect smtpd | kerio connect imapd | kerio connect pop3d
percona:percona_server = percona server
powerdns:dnsdist = powerdns dnsdist
gdnsd:gdnsd = gdnsd
freeswitch:freeswitch = freeswitch
opensips:opensips = opensips
"""


def _named() -> dict[str, tuple[str, str]]:
    named: dict[str, tuple[str, str]] = {}
    for line in _TEXT.split("\n"):
        cpe, _, names = line.partition(" = ")
        vendor, _, product = cpe.partition(":")
        named.update((name.strip(), (vendor, product)) for name in names.split("|") if name)
    return named


NAMES: Final = _named()
"""Name in lower case to vendor and product; all of them are applications (part `a`)."""

UPDATES: Final = frozenset(
    {("openbsd", "openssh"), ("ntp", "ntp"), ("isc", "bind"), ("proftpd", "proftpd"), ("isc", "dhcp")}
)
"""Products whose dictionary entries keep a version's patch (`p1`, `-P4`, `c`) in the update."""
