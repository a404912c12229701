// Package dovecot tests the doors with the real programs: Dovecot 2.3 as Debian packages it (dovecot-imapd, dovecot-pop3d,
// dovecot-lmtpd) as proxies, as backends, as "doveadm director", and as a ring of its own directors beside ours. Nothing here
// imitates Dovecot.
//
// The tests carry the build tag e2e ("make e2e"). They need root, because Dovecot changes users, and Linux, where all of
// 127.0.0.0/8 is the loopback: each test process has addresses of its own. Every Dovecot has its own configuration and
// base_dir in a temporary directory, and ends with the test. A test that fails prints the logs of all.
package dovecot
