"""What products call themselves in their banners: patterns, the name we give them, and their CPE 2.2 prefix.

Names follow nmap's where it has one, so that two scanners do not make two services of one. CPE vendors are those of
the NVD's dictionary. Every pattern is anchored or starts with a literal and has no nested repetition.
"""

from __future__ import annotations

import re
from typing import NamedTuple

VERSION = r"(?P<version>\d+(?:\.[0-9A-Za-z]+){0,8}[A-Za-z]?)"


class Product(NamedTuple):
    """One row: what to look for, what it is, the CPE without version (empty: none is registered)."""

    pattern: re.Pattern[str]
    name: str
    cpe: str


def rows(*given: tuple[str, str, str]) -> tuple[Product, ...]:
    """Rows of a table; `$V` in a pattern stands for a version."""
    return tuple(Product(re.compile(p.replace("$V", VERSION), re.IGNORECASE), name, cpe) for p, name, cpe in given)


# The software version of RFC 4253 section 4.2: `SSH-protoversion-softwareversion SP comments`.
SSH = rows(
    (r"OpenSSH_for_Windows_$V", "OpenSSH for Windows", "cpe:/a:openbsd:openssh"),
    (r"OpenSSH[_-](?P<version>\d[\d.]*(?:p\d+)?)[^ ]*(?: (?P<extra>.{1,80}))?", "OpenSSH", "cpe:/a:openbsd:openssh"),
    (r"OpenSSH$", "OpenSSH", "cpe:/a:openbsd:openssh"),
    (r"dropbear(?:_(?P<version>\d[\w.]*))?", "Dropbear sshd", "cpe:/a:dropbear_ssh_project:dropbear_ssh"),
    (r"libssh[_-]$V", "libssh", "cpe:/a:libssh:libssh"),
    (r"Cisco-$V", "Cisco SSH", ""),
    (r"AsyncSSH_$V", "AsyncSSH sshd", "cpe:/a:asyncssh_project:asyncssh"),
    (r"paramiko_$V", "Paramiko Python sshd", "cpe:/a:paramiko:paramiko"),
    (r"Twisted_$V", "Twisted SSH", "cpe:/a:twistedmatrix:twisted"),
    (r"WeOnlyDo(?:-wodFTPD)? $V", "WeOnlyDo sshd", ""),
    (r"$V FlowSsh: Bitvise SSH Server \(WinSSHD\) (?P<extra>[\d.]+)", "Bitvise WinSSHD", "cpe:/a:bitvise:winsshd"),
    (r"mod_sftp/$V", "ProFTPD mod_sftp", "cpe:/a:proftpd:proftpd"),
    (r"Go\b", "Golang x/crypto/ssh server", ""),
    (r"ROSSSH", "MikroTik RouterOS sshd", ""),
    (r"Gerrit(?:CodeReview)?_$V", "Gerrit Code Review SSH", "cpe:/a:google:gerrit"),
    (r"(?:APACHE-)?SSHD-(?:CORE-)?$V", "Apache Mina sshd", "cpe:/a:apache:sshd"),
)

# The first product of a Server header (RFC 9110 section 10.2.4).
HTTP = rows(
    (r"nginx(?:/$V)?(?: \((?P<extra>[^)]{1,60})\))?", "nginx", "cpe:/a:f5:nginx"),
    (r"openresty(?:/$V)?", "OpenResty web app server", "cpe:/a:openresty:openresty"),
    (r"Tengine(?:/$V)?", "Tengine httpd", ""),
    (r"Apache[- ]Coyote/(?P<extra>[\d.]+)", "Apache Tomcat/Coyote JSP engine", ""),
    (r"Apache Tomcat(?:/$V)?", "Apache Tomcat", "cpe:/a:apache:tomcat"),
    (r"Apache(?:[/ ]$V)?(?: \((?P<extra>[^)]{1,60})\))?(?=$| )", "Apache httpd", "cpe:/a:apache:http_server"),
    (r"Microsoft-IIS/$V", "Microsoft IIS httpd", "cpe:/a:microsoft:internet_information_services"),
    (r"Microsoft-HTTPAPI/$V", "Microsoft HTTPAPI httpd", ""),
    (r"lighttpd(?:/$V)?", "lighttpd", "cpe:/a:lighttpd:lighttpd"),
    (r"LiteSpeed(?:/$V)?", "LiteSpeed httpd", "cpe:/a:litespeedtech:litespeed_web_server"),
    (r"Caddy(?:/v?$V)?", "Caddy httpd", "cpe:/a:caddyserver:caddy"),
    (r"Jetty[(/](?P<version>[1-6]\.[\w.]{1,20})", "Jetty", "cpe:/a:mortbay:jetty"),
    (r"Jetty[(/]$V", "Jetty", "cpe:/a:eclipse:jetty"),
    (r"gunicorn(?:/$V)?", "Gunicorn", "cpe:/a:gunicorn:gunicorn"),
    (r"Werkzeug/$V(?: (?P<extra>Python/[\w.]+))?", "Werkzeug httpd", "cpe:/a:palletsprojects:werkzeug"),
    (r"SimpleHTTP/$V(?: (?P<extra>Python/[\w.]+))?", "SimpleHTTPServer", ""),
    (r"BaseHTTP/$V(?: (?P<extra>Python/[\w.]+))?", "BaseHTTPServer", ""),
    (r"Python/[\d.]+ aiohttp/$V", "aiohttp", "cpe:/a:aiohttp_project:aiohttp"),
    (r"TornadoServer/$V", "Tornado httpd", "cpe:/a:tornadoweb:tornado"),
    (r"TwistedWeb/$V", "TwistedWeb httpd", "cpe:/a:twistedmatrix:twisted"),
    (r"CherryPy/$V", "CherryPy wsgiserver", "cpe:/a:cherrypy:cherrypy"),
    (r"waitress", "Waitress", "cpe:/a:agendaless:waitress"),
    (r"uvicorn", "Uvicorn", "cpe:/a:encode:uvicorn"),
    (r"hypercorn-h\d", "Hypercorn", ""),
    (r"Kestrel", "Microsoft Kestrel httpd", ""),
    (r"Zope/\(?(?:Zope )?$V", "Zope httpd", "cpe:/a:zope:zope"),
    (r"thttpd(?:/$V)?", "thttpd", "cpe:/a:acme:thttpd"),
    (r"mini_httpd(?:/$V)?", "mini_httpd", "cpe:/a:acme:mini_httpd"),
    (r"micro_httpd", "micro_httpd", "cpe:/a:acme:micro_httpd"),
    (r"Boa/$V", "Boa HTTPd", "cpe:/a:boa:boa"),
    (r"GoAhead-(?:Webs|http)(?:/$V)?", "GoAhead WebServer", "cpe:/a:embedthis:goahead"),
    (r"Cherokee(?:/$V)?", "Cherokee httpd", "cpe:/a:cherokee-project:cherokee"),
    (r"Hiawatha v$V", "Hiawatha httpd", "cpe:/a:hiawatha-webserver:hiawatha"),
    (r"Monkey/$V", "Monkey httpd", "cpe:/a:monkey-project:monkey"),
    (r"RomPager/$V", "Allegro RomPager", "cpe:/a:allegrosoft:rompager"),
    (r"squid(?:/$V)?", "Squid http proxy", "cpe:/a:squid-cache:squid"),
    (r"Varnish(?:/$V)?", "Varnish http accelerator", "cpe:/a:varnish_cache_project:varnish_cache"),
    (r"HAProxy(?:/$V)?", "HAProxy http proxy", "cpe:/a:haproxy:haproxy"),
    (r"ATS(?:/$V)?$", "Apache Traffic Server", "cpe:/a:apache:traffic_server"),
    (r"envoy$", "Envoy", "cpe:/a:envoyproxy:envoy"),
    (r"CUPS/$V", "CUPS", "cpe:/a:apple:cups"),
    (r"MiniServ/$V", "MiniServ", "cpe:/a:webmin:webmin"),
    (r"WebLogic(?: Server)? $V", "Oracle WebLogic Server", "cpe:/a:oracle:weblogic_server"),
    (r"WebSphere Application Server/$V", "IBM WebSphere Application Server", "cpe:/a:ibm:websphere_application_server"),
    (r"GlassFish(?: Server)?[^\d]{0,40} $V", "GlassFish application server", "cpe:/a:oracle:glassfish_server"),
    (r"WildFly/$V", "WildFly", "cpe:/a:redhat:jboss_wildfly_application_server"),
    (r"CouchDB/$V", "CouchDB httpd", "cpe:/a:apache:couchdb"),
    (r"MinIO(?:/(?P<version>[\w.:-]+))?", "MinIO", "cpe:/a:minio:minio"),
    (r"SeaweedFS(?: |/)?$V", "SeaweedFS", ""),
    (r"cloudflare", "Cloudflare http proxy", ""),
    (r"AmazonS3", "Amazon S3 httpd", ""),
    (r"(?P<name>[A-Za-z][\w.!-]{0,40})(?:[/ ]v?$V)?", "", ""),
)

FTP = rows(
    (r"\(vsFTPd $V\)", "vsftpd", "cpe:/a:vsftpd_project:vsftpd"),
    (r"ProFTPD $V", "ProFTPD", "cpe:/a:proftpd:proftpd"),
    (r"NASFTPD Turbo station(?: 2\.x)? $V Server \(ProFTPD\)", "ProFTPD", "cpe:/a:proftpd:proftpd"),
    (r"ProFTPD", "ProFTPD", "cpe:/a:proftpd:proftpd"),
    (r"Pure-FTPd(?: $V)?", "Pure-FTPd", "cpe:/a:pureftpd:pure-ftpd"),
    (r"FileZilla Server(?: version)? $V", "FileZilla ftpd", "cpe:/a:filezilla-project:filezilla_server"),
    (r"Microsoft FTP Service(?: \(Version $V\))?", "Microsoft ftpd", ""),
    (r"Serv-U FTP Server v$V", "Serv-U ftpd", "cpe:/a:solarwinds:serv-u"),
    (r"\(Version wu-$V", "WU-FTPD", "cpe:/a:washington_university:wu-ftpd"),
    (r"pyftpdlib $V", "pyftpdlib", "cpe:/a:g.rodola:pyftpdlib"),
    (r"bftpd $V", "Bftpd", "cpe:/a:bftpd_project:bftpd"),
    (r"FTP server \(GNU inetutils $V\)", "GNU Inetutils FTPd", "cpe:/a:gnu:inetutils"),
    (r"\(MikroTik $V\)", "MikroTik router ftpd", "cpe:/o:mikrotik:routeros"),
)

SMTP = rows(
    (r"ESMTP Postfix \($V\S*\)", "Postfix smtpd", "cpe:/a:postfix:postfix"),
    (r"SMTP Postfix(?: \((?P<extra>[^)]{1,60})\))?", "Postfix smtpd", "cpe:/a:postfix:postfix"),
    (r"Exim $V", "Exim smtpd", "cpe:/a:exim:exim"),
    (r"Sendmail $V", "Sendmail", "cpe:/a:sendmail:sendmail"),
    (r"Microsoft ESMTP MAIL Service(?:, Version: $V)?", "Microsoft ESMTP", ""),
    (r"OpenSMTPD", "OpenSMTPD", "cpe:/a:openbsd:opensmtpd"),
    (r"MDaemon(?: PRO)? v?$V", "MDaemon smtpd", "cpe:/a:altn:mdaemon"),
    (r"hMailServer", "hMailServer smtpd", "cpe:/a:hmailserver:hmailserver"),
    (r"Haraka(?:/$V)?", "Haraka smtpd", "cpe:/a:haraka_project:haraka"),
    (r"qmail", "qmail smtpd", ""),
)

POP3 = rows(
    (r"Dovecot", "Dovecot pop3d", "cpe:/a:dovecot:dovecot"),
    (r"Cyrus POP3 v?$V", "Cyrus pop3d", "cpe:/a:cyrus:imap"),
    (r"Microsoft Exchange(?: Server \d+)? POP3 server(?: version $V)?", "Microsoft Exchange pop3d", ""),
)

IMAP = rows(
    (r"Dovecot", "Dovecot imapd", "cpe:/a:dovecot:dovecot"),
    (r"Cyrus IMAP4? v?$V", "Cyrus imapd", "cpe:/a:cyrus:imap"),
    (r"Courier-IMAP", "Courier Imapd", "cpe:/a:double_precision_incorporated:courier-imap"),
    (r"Microsoft Exchange(?: Server \d+)? IMAP4(?:rev1)? server(?: version $V)?", "Microsoft Exchange imapd", ""),
)
