// Package dovecot tests the doors with the real programs: Dovecot 2.3 as Debian packages it
// (dovecot-imapd, dovecot-pop3d, dovecot-lmtpd, dovecot-managesieved, dovecot-submissiond) as
// proxies, as backends, as "doveadm director", and as a ring of its own directors beside ours;
// Dovecot 2.4 as proxies, from Debian trixie in a directory that debootstrap makes (without it
// those tests are skipped; DIRECTORMESH_TRIXIE names a directory that is there already); and
// systemd, as process 1 of namespaces of its own (skipped where that is not allowed). Nothing here
// imitates Dovecot; only backends in trouble, those of the guide to installing and a mail relay are
// stand-ins.
//
// The tests carry the build tag e2e ("make e2e"). They need root, because Dovecot changes users,
// and Linux, where all of 127.0.0.0/8 is the loopback: each test process, and in it each test, has
// addresses of its own. Every Dovecot has its own configuration and base_dir in a temporary
// directory, and ends with the test. A test that fails prints the logs of all.
//
// Most tests run at the same time, because they wait far more than they work. Those that keep the
// machine busy or measure run before them, one by one.
package dovecot
