//! The files of the base image that are written, not copied: users, groups, names, and the folders every image has.

use super::collect::Collector;
use crate::layer::Content;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    daemon:x:1:1:daemon:/:/bin/false\n\
    bin:x:2:2:bin:/bin:/bin/false\n\
    sys:x:3:3:sys:/dev:/bin/false\n\
    mail:x:8:8:mail:/var/spool/mail:/bin/false\n\
    www-data:x:33:33:www-data:/var/www:/bin/false\n\
    nobody:x:65534:65534:nobody:/:/bin/false\n";

const GROUP: &str = "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nmail:x:8:\n\
    staff:x:50:\nusers:x:100:\nwww-data:x:33:\nnogroup:x:65534:\n";

const FILES: [(&str, &str); 8] = [
    ("/etc/passwd", PASSWD),
    ("/etc/group", GROUP),
    ("/etc/hostname", "base\n"),
    ("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n"),
    ("/etc/resolv.conf", ""),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ("/etc/profile", "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"),
    ("/etc/os-release", "ID=base\nNAME=\"base\"\nPRETTY_NAME=\"base image of the host's own files\"\n"),
];

const FOLDERS: [(&str, u32); 16] = [
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/mnt", 0o755),
    ("/opt", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/srv", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/usr/local/bin", 0o755),
    ("/var/log", 0o755),
    ("/var/tmp", 0o1777),
    ("/var/www", 0o755),
    ("/var/lib", 0o755),
];

pub(super) fn synthesise(collector: &mut Collector) {
    for (path, mode) in FOLDERS {
        collector.put(path, mode, Content::Folder);
    }
    for (path, text) in FILES {
        collector.put(path, 0o644, Content::Bytes(text.as_bytes().to_vec()));
    }
}
