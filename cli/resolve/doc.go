// Package resolve looks up names of backends: host names, and names of services (SRV), which begin
// with an underscore. It says what is found and what went wrong, and decides nothing.
//
// # Names of services
//
// A name such as _imap._tcp.backends.example.org names hosts, each with a weight and a priority.
// The weight is the vhost count; where no host has a weight, each has the usual one, and where a
// weight is larger than any vhost count, all are scaled down. Hosts of the lowest priority take
// users, those of others are standbys. Ports are not taken: a backend has none, proxies know which
// they use.
//
// # Answers in part
//
// IPv4 and IPv6 addresses are asked for side by side, and of a service all hosts. Where one of
// these questions gets no answer, what the others found is returned with the error. That there is
// no such address is an answer.
package resolve
