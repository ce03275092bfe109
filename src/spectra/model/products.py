"""What products call themselves in their banners: patterns, the name we give them, and their CPE 2.2 prefix.

Names follow nmap's where it has one, so that two scanners do not make two services of one. CPE vendors are those of
the NVD's dictionary. Every pattern is anchored or starts with a literal and has no nested repetition. The first row
that matches counts. Web servers are in `model/webproducts.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

VERSION = r"(?P<version>\d+(?:\.[0-9A-Za-z]+){0,8}[A-Za-z]?)"


@dataclass(frozen=True)
class Product:
    """One row: what to look for, what it is, the CPE without version (empty: none is registered)."""

    expression: str
    name: str
    cpe: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The expression, compiled when it is first looked for: all of them took a third of the start of a task."""
        return re.compile(self.expression.replace("$V", VERSION), re.IGNORECASE)


def rows(*given: tuple[str, str, str]) -> tuple[Product, ...]:
    """Rows of a table; `$V` in an expression stands for a version."""
    return tuple(Product(*row) for row in given)


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
    (r"WS_FTP-SSH_$V", "WS_FTP sshd", "cpe:/a:progress:ws_ftp_server"),
    (r"VShell(?:_Special_Edition)?_(?P<version>\d{1,3}(?:_\d{1,4}){1,4})", "VanDyke VShell", "cpe:/a:vandyke:vshell"),
    (r"$V VShell", "VanDyke VShell", "cpe:/a:vandyke:vshell"),
    (r"$V SSH Tectia Server", "SSH Tectia Server", "cpe:/a:ssh:tectia_server"),
    (r"$V SSH Secure Shell(?: \((?P<extra>[^)]{1,40})\))?", "SSH Secure Shell", "cpe:/a:ssh:tectia_server"),
    (
        r"(?:WRQ)?ReflectionForSecureIT_$V(?: (?P<extra>Build \d{1,6}))?",
        "Attachmate Reflection for Secure IT sshd",
        "cpe:/a:attachmate:reflection_for_secure_it",
    ),
    (r"Serv-U_$V", "Serv-U sshd", "cpe:/a:solarwinds:serv-u"),
    (r"CerberusFTPServer_$V", "Cerberus FTP Server sshd", "cpe:/a:cerberusftp:ftp_server"),
    (r"CoreFTP-$V", "Core FTP sshd", "cpe:/a:coreftp:core_ftp"),
    (r"xlightftpd_release_$V", "Xlight FTP Server sshd", "cpe:/a:xlightftpd:xlight_ftp_server"),
    (r"CrushFTPSSHD", "CrushFTP sshd", "cpe:/a:crushftp:crushftp"),
    (r"lshd-$V lsh", "lshd", "cpe:/a:gnu:lsh"),
    (r"wolfSSHv$V", "wolfSSH sshd", "cpe:/a:wolfssh:wolfssh"),
    (r"tinyssh(?:_|$)", "TinySSH", "cpe:/a:tinyssh:tinyssh"),
    (r"Erlang(?:/(?P<extra>[\w.]{1,20}))?", "Erlang sshd", ""),
)

FTP = rows(
    (r"vsFTPd $V", "vsftpd", "cpe:/a:vsftpd_project:vsftpd"),
    (r"OOPS: .{0,60}vsftpd", "vsftpd", "cpe:/a:vsftpd_project:vsftpd"),
    (r"ProFTPD $V", "ProFTPD", "cpe:/a:proftpd:proftpd"),
    (r"NASFTPD Turbo station(?: 2\.x)? $V Server \(ProFTPD\)", "ProFTPD", "cpe:/a:proftpd:proftpd"),
    (r"ProFTPD", "ProFTPD", "cpe:/a:proftpd:proftpd"),
    (r"Pure-FTPd(?: $V)?", "Pure-FTPd", "cpe:/a:pureftpd:pure-ftpd"),
    (
        r"FileZilla Server(?: version)? v?$V(?P<update> beta)?",
        "FileZilla ftpd",
        "cpe:/a:filezilla-project:filezilla_server",
    ),
    (
        r"Microsoft FTP Service(?: \(Version $V\))?",
        "Microsoft ftpd",
        "cpe:/a:microsoft:internet_information_services",
    ),
    (r"Serv-U FTP[ -]Server v$V", "Serv-U ftpd", "cpe:/a:solarwinds:serv-u"),
    (r"Serv-U FTP[ -]Server", "Serv-U ftpd", "cpe:/a:solarwinds:serv-u"),
    (r"Version wu(?:ftpd)?-$V", "WU-FTPD", "cpe:/a:washington_university:wu-ftpd"),
    (r"pyftpdlib $V", "pyftpdlib", "cpe:/a:g.rodola:pyftpdlib"),
    (r"bftpd $V", "Bftpd", "cpe:/a:bftpd_project:bftpd"),
    (r"FTP server \(GNU inetutils $V\)", "GNU Inetutils FTPd", "cpe:/a:gnu:inetutils"),
    (r"\(MikroTik $V\)", "MikroTik router ftpd", "cpe:/o:mikrotik:routeros"),
    (r"WS_FTP Server $V", "WS_FTP ftpd", "cpe:/a:progress:ws_ftp_server"),
    (r"SurgeFTP \S{1,100} \(Version $V", "NetWin SurgeFTP", "cpe:/a:netwin:surgeftp"),
    (r"Wing FTP Server(?: $V)?", "Wing FTP Server", "cpe:/a:wftpserver:wing_ftp_server"),
    (r"Titan FTP Server $V", "Titan FTP Server", "cpe:/a:southrivertech:titan_ftp_server"),
    (r"Xlight FTP Server(?: v?$V)?", "Xlight FTP Server", "cpe:/a:xlightftpd:xlight_ftp_server"),
    (r"Cerberus FTP Server(?: v?$V)?", "Cerberus FTP Server", "cpe:/a:cerberusftp:ftp_server"),
    (r"CrushFTP", "CrushFTP", "cpe:/a:crushftp:crushftp"),
    (r"Core FTP Server Version $V", "Core FTP Server", "cpe:/a:coreftp:core_ftp"),
    (r"Gene6 FTP Server v$V", "Gene6 ftpd", "cpe:/a:gene6:g6_ftp_server"),
    (r"TYPSoft FTP Server $V", "TYPSoft ftpd", "cpe:/a:typsoft:typsoft_ftp_server"),
    (r"CesarFTP $V", "ACLogic CesarFTPd", "cpe:/a:aclogic:cesarftp"),
    (r"WAR-?FTPD $V", "WarFTPd", "cpe:/a:jgaa:warftpd"),
    (r"GuildFTPD", "GuildFTPd", "cpe:/a:steve_poulsen:guildftpd"),
    (r"freeFTPd $V", "FreeFTPd", "cpe:/a:freeftpd:freeftpd"),
    (r"glFTPd $V", "glFTPd", "cpe:/a:glftpd:glftpd"),
    (r"SlimFTPd $V", "SlimFTPd", "cpe:/a:whitsoft_development:slimftpd"),
    (r"NcFTPd Server", "NcFTPd", "cpe:/a:ncftp:ncftpd_server"),
    (r"tnftpd $V", "tnftpd", "cpe:/a:luke_mewburn:tnftpd"),
    (r"Rumpus(?: $V)?", "Rumpus ftpd", "cpe:/a:maxum:rumpus"),
)

SMTP = rows(
    (r"ESMTP Postfix \($V\S*\)", "Postfix smtpd", "cpe:/a:postfix:postfix"),
    (r"SMTP Postfix(?: \((?P<extra>[^)]{1,60})\))?", "Postfix smtpd", "cpe:/a:postfix:postfix"),
    (r"SMTP Hi, I'm a Mail-in-a-Box \((?P<extra>\w{1,20})/Postfix", "Postfix smtpd", "cpe:/a:postfix:postfix"),
    (r"Hi, I'm a Mail-in-a-Box \((?P<extra>\w{1,20})/Postfix", "Postfix smtpd", "cpe:/a:postfix:postfix"),
    (
        r"\bExim (?P<version>\d{1,8}(?:\.\w{1,12}){0,3})(?: (?P<extra>Ubuntu|Debian)\b)?",
        "Exim smtpd",
        "cpe:/a:exim:exim",
    ),
    (r"\bExim E?SMTP", "Exim smtpd", "cpe:/a:exim:exim"),
    (r"MetaInfo Sendmail $V", "MetaInfo Sendmail", "cpe:/a:metainfo:sendmail"),
    (
        r"\bSendmail (?:AIX ?[\d.]{1,10}/UCB |SMI-|@\(#\)Sendmail version )?$V"
        r"(?:/[\w.+-]{1,30}/(?P<extra>[a-z][^;\r\n]{1,60}))?",
        "Sendmail",
        "cpe:/a:sendmail:sendmail",
    ),
    (r"\bSendmail ESMTP", "Sendmail", "cpe:/a:sendmail:sendmail"),
    (
        r"Microsoft ESMTP MAIL Service, Version: $V",
        "Microsoft ESMTP",
        "cpe:/a:microsoft:internet_information_services",
    ),
    (
        r"Microsoft SMTP MAIL ready at [^\r\n]{1,60} Version: $V",
        "Microsoft ESMTP",
        "cpe:/a:microsoft:internet_information_services",
    ),
    # Exchange 2007 and later tell no version.
    (r"Microsoft ESMTP MAIL Service ready", "Microsoft Exchange smtpd", "cpe:/a:microsoft:exchange_server"),
    (r"Microsoft ESMTP MAIL Service", "Microsoft ESMTP", ""),
    (r"Microsoft Exchange Internet Mail Service $V", "Microsoft Exchange smtpd", "cpe:/a:microsoft:exchange_server"),
    (r"OpenSMTPD", "OpenSMTPD", "cpe:/a:openbsd:opensmtpd"),
    (r"MDaemon(?: PRO)? v?$V", "MDaemon smtpd", "cpe:/a:altn:mdaemon"),
    (r"hMailServer", "hMailServer smtpd", "cpe:/a:hmailserver:hmailserver"),
    (r"Haraka(?:/$V)?", "Haraka smtpd", "cpe:/a:haraka_project:haraka"),
    (r"CommuniGate Pro $V", "CommuniGate Pro smtpd", "cpe:/a:communigate:communigate_pro"),
    (r"(?:IBM|HCL|Lotus) Domino Release $V", "IBM Domino smtpd", "cpe:/a:hcltech:domino"),
    (r"Lotus Notes ESMTP Server", "IBM Domino smtpd", "cpe:/a:hcltech:domino"),
    (r"\bZimbra\b", "Zimbra smtpd", "cpe:/a:zimbra:collaboration"),
    (r"\(IMail $V", "IMail smtpd", "cpe:/a:ipswitch:imail"),
    (r"GroupWise (?:Internet Agent|SMTP/MIME Daemon) $V", "Novell GroupWise", "cpe:/a:novell:groupwise"),
    (r"\(JAMES SMTP Server $V", "Apache James smtpd", "cpe:/a:apache:james"),
    (
        r"ArGoSoft Mail Server[^,\r\n]{0,40}, Version [\d.]{1,9} \($V\)",
        "ArGoSoft Mail Server",
        "cpe:/a:argosoft:argosoft_mail_server",
    ),
    (r"Netscape Messaging Server(?: - Version)? $V", "Netscape Messaging Server", "cpe:/a:netscape:messaging_server"),
    (r"CheckPoint FireWall-1", "Check Point FireWall-1 smtpd", "cpe:/a:checkpoint:firewall-1"),
    (r"Symantec Messaging Gateway", "Symantec Messaging Gateway", "cpe:/a:symantec:messaging_gateway"),
    (r"Symantec Mail Security", "Symantec Mail Security", "cpe:/a:symantec:mail_security"),
    (r"WebShield SMTP V$V", "McAfee WebShield SMTP", "cpe:/a:mcafee:webshield_smtp"),
    (r"Kerio Connect $V", "Kerio Connect smtpd", "cpe:/a:kerio:connect"),
    (r"Kerio MailServer $V", "Kerio MailServer smtpd", "cpe:/a:kerio:kerio_mailserver"),
    (r"MailEnable Service, Version: $V", "MailEnable smtpd", "cpe:/a:mailenable:mailenable"),
    (r"\bIceWarp $V", "IceWarp smtpd", "cpe:/a:icewarp:mail_server"),
    (r"\bMerak $V", "Merak Mail Server smtpd", "cpe:/a:icewarp:merak_mail_server"),
    (r"SurgeMail \(Version $V", "SurgeMail smtpd", "cpe:/a:netwin:surgemail"),
    (r"\[XMail $V", "XMail smtpd", "cpe:/a:davide_libenzi:xmail"),
    (r"qmail", "qmail smtpd", ""),
)

POP3 = rows(
    (r"Dovecot", "Dovecot pop3d", "cpe:/a:dovecot:dovecot"),
    (r"Cyrus POP3 v?$V(?:-(?P<extra>\S{1,60}))?", "Cyrus pop3d", "cpe:/a:cyrus:imap"),
    (
        r"Microsoft Exchange(?: Server)?(?: \d{4})? POP3[ -]serv\w{1,6}(?:,? version $V)?",
        "Microsoft Exchange pop3d",
        "cpe:/a:microsoft:exchange_server",
    ),
    (r"(?:Lotus Notes|Domino) POP3 server version (?:Release )?$V", "IBM Domino pop3d", "cpe:/a:hcltech:domino"),
    (r"\bZimbra(?: $V\S{0,30})? POP3", "Zimbra pop3d", "cpe:/a:zimbra:collaboration"),
    (r"Q(?:ualcomm )?popper \(version $V", "Qpopper pop3d", "cpe:/a:qualcomm:qpopper"),
    (r"\bMDaemon(?: PRO)? v?$V", "MDaemon pop3d", "cpe:/a:altn:mdaemon"),
    (r"\bhMailServer", "hMailServer pop3d", "cpe:/a:hmailserver:hmailserver"),
    (r"CommuniGate Pro POP3 Server $V", "CommuniGate Pro pop3d", "cpe:/a:communigate:communigate_pro"),
    (r"\bKerio Connect $V", "Kerio Connect pop3d", "cpe:/a:kerio:connect"),
)

IMAP = rows(
    (r"Dovecot", "Dovecot imapd", "cpe:/a:dovecot:dovecot"),
    (
        r"Cyrus IMAP(?:4| Murder)? v?$V(?:-(?P<extra>[^\r\n]{1,60}) server)?",
        "Cyrus imapd",
        "cpe:/a:cyrus:imap",
    ),
    (r"Courier-IMAP", "Courier Imapd", "cpe:/a:double_precision_incorporated:courier-imap"),
    (
        r"Microsoft Exchange(?: Server)?(?: \d{4})? IMAP4(?:rev1)?[ -]serv\w{1,6}(?:,? version $V)?",
        "Microsoft Exchange imapd",
        "cpe:/a:microsoft:exchange_server",
    ),
    (r"Domino IMAP4 Server Release $V", "IBM Domino imapd", "cpe:/a:hcltech:domino"),
    (r"\bZimbra(?: $V\S{0,30})? IMAP4", "Zimbra imapd", "cpe:/a:zimbra:collaboration"),
    (r"CallPilot IMAP4rev1 v$V", "Nortel CallPilot imapd", "cpe:/a:nortel:callpilot"),
    (r"\bMDaemon(?: PRO)? v?$V", "MDaemon imapd", "cpe:/a:altn:mdaemon"),
    (r"\bhMailServer", "hMailServer imapd", "cpe:/a:hmailserver:hmailserver"),
    (r"CommuniGate Pro IMAP Server $V", "CommuniGate Pro imapd", "cpe:/a:communigate:communigate_pro"),
    (r"\bKerio Connect $V", "Kerio Connect imapd", "cpe:/a:kerio:connect"),
)

# The answer to `version.bind`. BIND's is its version, then the patch, then whoever built it.
DNS = rows(
    (
        r"(?:DNS Server )?(?:ISC )?(?:BIND )?(?P<version>[489]\.\d{1,2})\.?(?P<update>-ESV(?:-R\d{1,2})?(?:-P\d{1,2})?)"
        r"(?:-(?P<extra>\S{1,80}))?$",
        "ISC BIND",
        "cpe:/a:isc:bind",
    ),
    (
        r"(?:DNS Server )?(?:ISC )?(?:BIND )?(?P<version>[489]\.\d{1,2}\.\d{1,3}(?:(?:a|b|rc)\d{1,2})?)"
        r"(?:-rpz[\w.+]{1,30})?(?P<update>-[PSW]\d{1,2}(?:\.\d)?(?:-W\d)?)?(?:[ -](?P<extra>.{1,100}))?$",
        "ISC BIND",
        "cpe:/a:isc:bind",
    ),
    (r"dnsmasq-(?:pi-hole-)?v?$V(?:-(?P<extra>\S{1,40}))?", "dnsmasq", "cpe:/a:thekelleys:dnsmasq"),
    (r"dnsmasq(?:-|$)", "dnsmasq", "cpe:/a:thekelleys:dnsmasq"),
    (r"PowerDNS Recursor $V(?P<update>-\w{1,12})?", "PowerDNS Recursor", "cpe:/a:powerdns:recursor"),
    (
        r"(?:PowerDNS Authoritative Server|Served by PowerDNS) $V(?P<update>-\w{1,12})?",
        "PowerDNS Authoritative Server",
        "cpe:/a:powerdns:authoritative_server",
    ),
    (r"dnsdist $V", "PowerDNS dnsdist", "cpe:/a:powerdns:dnsdist"),
    (r"unbound $V", "Unbound", "cpe:/a:nlnetlabs:unbound"),
    (r"NSD $V", "NLnet Labs NSD", "cpe:/a:nlnetlabs:nsd"),
    (r"Knot DNS $V", "Knot DNS", "cpe:/a:knot-dns:knot_dns"),
    (r"Knot Resolver $V", "Knot Resolver", "cpe:/a:nic:knot_resolver"),
    (r"CoreDNS-$V", "CoreDNS", "cpe:/a:coredns.io:coredns"),
    (r"gdnsd", "gdnsd", "cpe:/a:gdnsd:gdnsd"),
    (r"djbdns", "djbdns", "cpe:/a:d.j.bernstein:djbdns"),
    (r"Microsoft DNS $V", "Microsoft DNS", ""),
    (r"Nominum Vantio(?: CacheServe)? $V", "Nominum Vantio", ""),
)

NTP = rows((r"\bntpd (?P<version>\d{1,3}(?:\.\d{1,4}){1,3}(?:p\d{1,4})?)", "ntpd", "cpe:/a:ntp:ntp"))

NNTP = rows(
    (
        r"NNTP Service [\d.]{3,12} Version: $V",
        "Microsoft NNTP Service",
        "cpe:/a:microsoft:internet_information_services",
    ),
    (r"\bINN $V", "InterNetNews", "cpe:/a:isc:inn"),
)

SIP = rows(
    (r"kamailio \($V", "Kamailio", "cpe:/a:kamailio:kamailio"),
    (r"OpenSIPS \($V", "OpenSIPS", "cpe:/a:opensips:opensips"),
    (r"FreeSWITCH(?:-mod_sofia/| )$V", "FreeSWITCH", "cpe:/a:freeswitch:freeswitch"),
    (r"Asterisk PBX (?:certified/)?$V", "Asterisk PBX", "cpe:/a:digium:asterisk"),
    (r"FPBX-[\w.]{1,30}\($V\)", "Asterisk PBX", "cpe:/a:digium:asterisk"),
    (r"CommuniGatePro/$V", "CommuniGate Pro", "cpe:/a:communigate:communigate_pro"),
)

REDIS = rows((r"redis_version:$V", "Redis key-value store", "cpe:/a:redis:redis"))

MEMCACHED = rows((r"(?:VERSION |version=)$V", "Memcached", "cpe:/a:memcached:memcached"))
