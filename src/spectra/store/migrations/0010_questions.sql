-- What is asked of hosts by their own row: few distinct systems and makers, found by stepping through the index.
CREATE INDEX host_os ON host (os) WHERE os <> '';
CREATE INDEX host_vendor ON host (vendor) WHERE vendor <> '';
CREATE INDEX host_mac ON host (mac text_pattern_ops) WHERE mac <> '';

-- When a certificate expires. Its names have no index: one over them and all names above would cost as much as
-- everything else about writing a certificate, and looking through a third of a million takes a tenth of a second.
CREATE INDEX certificate_not_after ON certificate (not_after);
